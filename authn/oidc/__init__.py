"""The OpenID provider, one file per endpoint."""
