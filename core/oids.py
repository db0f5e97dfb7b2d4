"""Object identifiers, each under the name its standard gives it."""

from __future__ import annotations

from typing import Final

from cryptography.x509 import ObjectIdentifier

# ---- algorithms (GM/T 0006, RFC 8017, RFC 5480, RFC 8410) --------------------------------------
EC_PUBLIC_KEY: Final = ObjectIdentifier("1.2.840.10045.2.1")
SM2_CURVE: Final = ObjectIdentifier("1.2.156.10197.1.301")
SM2_SIGN: Final = ObjectIdentifier("1.2.156.10197.1.301.1")
SM2_ENCRYPT: Final = ObjectIdentifier("1.2.156.10197.1.301.3")
SM2_SIGN_WITH_SM3: Final = ObjectIdentifier("1.2.156.10197.1.501")
SM3: Final = ObjectIdentifier("1.2.156.10197.1.401")
RSA_SIGN_WITH_SM3: Final = ObjectIdentifier("1.2.156.10197.1.504")
SHA1: Final = ObjectIdentifier("1.3.14.3.2.26")
SHA256: Final = ObjectIdentifier("2.16.840.1.101.3.4.2.1")
SHA384: Final = ObjectIdentifier("2.16.840.1.101.3.4.2.2")
SHA512: Final = ObjectIdentifier("2.16.840.1.101.3.4.2.3")

# ---- OCSP (RFC 6960) ----------------------------------------------------------------------------
OCSP_BASIC: Final = ObjectIdentifier("1.3.6.1.5.5.7.48.1.1")
OCSP_NONCE: Final = ObjectIdentifier("1.3.6.1.5.5.7.48.1.2")
OCSP_ARCHIVE_CUTOFF: Final = ObjectIdentifier("1.3.6.1.5.5.7.48.1.6")
OCSP_NOCHECK: Final = ObjectIdentifier("1.3.6.1.5.5.7.48.1.5")

# ---- Chinese identity extensions (GB/T 20518; values in `ca.profiles`) --------------------------
IDENTIFY_CODE: Final = ObjectIdentifier("1.2.156.10260.4.1.1")
INSURANCE_NUMBER: Final = ObjectIdentifier("1.2.156.10260.4.1.2")
IC_REGISTRATION_NUMBER: Final = ObjectIdentifier("1.2.156.10260.4.1.3")
ORGANIZATION_CODE: Final = ObjectIdentifier("1.2.156.10260.4.1.4")
TAXATION_NUMBER: Final = ObjectIdentifier("1.2.156.10260.4.1.5")
