"""The CertID of the request that nearly every client sends, found without an ASN.1 library."""

from __future__ import annotations

_SEQUENCE = 0x30
_WRAPPERS = 10
"""Tag and length of OCSPRequest, TBSRequest, requestList, Request and CertID, two octets each."""


def find_cert_id(octets: bytes) -> bytes | None:
    """Return the octets of the CertID if the request is that one CertID and nothing else.

    Each SEQUENCE around it must fill the one outside it to the last octet, with a length of one
    octet: no version, requestorName, extension or signature has room. What is inside the CertID
    is not looked at, so the octets may only be compared with those of a CertID that
    `crl.ocsp.request.parse_request` accepted. None says nothing about the request.
    """
    size = len(octets)
    # The length of one octet ends at 127.
    if not _WRAPPERS < size < 130:
        return None
    if (
        octets[1] == size - 2
        and octets[3] == size - 4
        and octets[5] == size - 6
        and octets[7] == size - 8
        and octets[9] == size - 10
        and octets[0] == octets[2] == octets[4] == octets[6] == octets[8] == _SEQUENCE
    ):
        return octets[8:]
    return None
