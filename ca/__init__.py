"""The certificate authority: requests, profiles, issuing, revoking."""
