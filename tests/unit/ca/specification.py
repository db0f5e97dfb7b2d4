"""The tables of docs/certificate-specification.md, made from the built-in profiles.

python -m tests.unit.ca.specification        writes them into the document
"""

from __future__ import annotations

from pathlib import Path

from ca.profiles import CertificateProfile, load_profiles

DOCUMENT = Path(__file__).parents[3] / "docs" / "certificate-specification.md"
MARK = "<!-- generated from ca/profile_data by tests/unit/ca/specification.py -->"
EKU_NAMES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "1.3.6.1.5.5.7.3.17": "ipsecIKE",
    "1.3.6.1.5.5.7.3.36": "documentSigning",
}


def rows(profile: CertificateProfile) -> list[tuple[str, str, str]]:
    """What a certificate of this profile MUST, MAY and MUST NOT hold."""
    none = "MUST NOT"
    usage = profile.key_usage
    names = profile.alternative_names
    found = [
        ("issuer", "MUST", " or ".join(profile.issued_by)),
        ("subject key", "MUST", ", ".join(profile.key_algorithms)),
        (
            "validity",
            "MUST",
            f"{profile.validity_days} days, at most {profile.maximum_validity_days}; "
            + ("cut at" if profile.beyond_issuer == "clamp" else "refused beyond")
            + " the issuer's end; not_before "
            + f"{profile.backdate_seconds} s in the past",
        ),
        ("subject", "MUST", ", ".join(profile.subject.required)),
    ]
    if profile.subject.optional:
        found.append(("subject", "MAY", ", ".join(profile.subject.optional)))
    found.append(("key usage (critical)", "MUST", ", ".join(usage.default)))
    for family, bits in (("RSA", usage.rsa), ("SM2", usage.sm2)):
        if bits:
            found.append((f"key usage, {family} keys", "MUST", ", ".join(bits)))
    length = "any length" if profile.path_length is None else f"path length {profile.path_length}"
    found.append(
        ("basic constraints (critical)", "MUST", f"CA, {length}")
        if profile.authority
        else ("basic constraints", none, "")
    )
    extended = ", ".join(EKU_NAMES[oid] for oid in profile.extended_key_usage)
    found.append(("extended key usage", "MUST" if extended else none, extended))
    kinds = ", ".join(names.kinds)
    listed = "; CN is one of them" if names.common_name_listed else ""
    wild = "" if "dns" not in names.kinds or names.wildcards else "; no wildcards"
    found.append(
        (
            "subject alternative names",
            ("MUST" if names.minimum else "MAY") if names.kinds else none,
            f"{names.minimum} to {names.maximum} of {kinds}{listed}{wild}" if names.kinds else "",
        )
    )
    access = ", ".join(profile.authority_information_access)
    found.append(("authority information access", "MUST" if access else none, access))
    points = profile.crl_distribution_points
    found.append(("CRL distribution points", "MUST" if points else none, "full CRL, http" * points))
    if profile.ocsp_nocheck:
        found.append(("id-pkix-ocsp-nocheck", "MUST", ""))
    found += [
        (item.name, "MUST" if item.required else "MAY", f"{item.oid}, {item.kind}")
        for item in profile.identity_extensions
    ]
    return found


def tables() -> str:
    """Return all tables as Markdown."""
    parts = [MARK, ""]
    for profile in load_profiles().values():
        asked = "" if profile.requestable else " Only this service itself issues it."
        approval = "needs approval" if profile.needs_approval else "needs no approval"
        parts += [f"### `{profile.name}`: {profile.title}", ""]
        if profile.requestable:
            asked = f" A request {approval}."
        parts += [f"{asked.strip()}", "", "| field | | value |", "|---|---|---|"]
        parts += [f"| {field} | {word} | {value} |" for field, word, value in rows(profile)]
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    head = DOCUMENT.read_text(encoding="utf-8").partition(MARK)[0]
    DOCUMENT.write_text(head + tables(), encoding="utf-8")
