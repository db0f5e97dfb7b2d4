"""The errors of the domain, in words of the standards. No HTTP here.

    TrustError
    ├── Malformed          the octets or fields are not what the standard says
    ├── NotFound           no such thing, or not for this caller
    ├── Conflict           the state does not allow it (already done, key re-used)
    ├── Refused            understood, and policy says no
    │   └── ProfileViolation
    ├── Unauthenticated    we do not know who asks
    ├── Forbidden          we know who asks, and they may not
    ├── TooLarge           longer than the limit
    ├── Throttled          too often; `retry_after` says when
    ├── InvalidSignature   a signature does not verify
    ├── Unavailable        something we depend on cannot be reached
    │   ├── AuditUnavailable
    │   └── BackendUnavailable
    └── Misconfigured      the service cannot start like this

Each edge translates them once: problem+json in `core.http`, OCSP statuses in
`crl.ocsp.responder`, OAuth errors in `authn.oidc`. A message is written for the person who
reads it: what was wrong, where, what to do. It never carries a secret.
"""

from __future__ import annotations


class TrustError(Exception):
    """Anything this service says no with."""


class Malformed(TrustError):
    """The octets or fields are not what the standard says."""


class NotFound(TrustError):
    """There is no such thing, or none that this caller may see."""


class Conflict(TrustError):
    """The present state does not allow it."""


class Refused(TrustError):
    """The request is understood, and policy says no."""


class ProfileViolation(Refused):
    """The certificate profile forbids the request."""


class Unauthenticated(TrustError):
    """We do not know who asks."""


class Forbidden(TrustError):
    """We know who asks, and they may not."""


class TooLarge(TrustError):
    """Longer than the limit; the message names it."""


class Throttled(TrustError):
    """Too often. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InvalidSignature(TrustError):
    """A signature does not verify."""


class Unavailable(TrustError):
    """Something we depend on cannot be reached; trying again later may work."""


class AuditUnavailable(Unavailable):
    """The audit event cannot be written, so the act does not happen."""


class BackendUnavailable(Unavailable):
    """The place where the private key lives cannot be reached."""


class Misconfigured(TrustError):
    """The service cannot start like this; one sentence says what to change."""
