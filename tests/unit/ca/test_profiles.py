from __future__ import annotations

from pathlib import Path

import pytest

from ca.config import CAConfig
from ca.profiles import load_profiles, parse_profile
from core.errors import Misconfigured

GOOD = """
name = "vpn"
title = "VPN"
key_algorithms = ["sm2"]
validity_days = 10
maximum_validity_days = 20
[key_usage]
default = ["digitalSignature"]
[subject]
required = ["CN"]
"""


def test_profiles_of_a_directory_add_to_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "vpn.toml").write_text(GOOD)
    assert load_profiles(tmp_path).keys() == load_profiles().keys() | {"vpn"}


def test_a_directory_that_is_not_there_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="not a directory"):
        load_profiles(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"VPN"', '"VPN', "is not TOML"),
        ("validity_days = 10", "validity_days = 30", "30 is more than maximum_validity_days 20"),
        ("[key_usage]", "titel = 1\n[key_usage]", "titel: Extra inputs"),
        ('"digitalSignature"', '"keyCertSign"', "for authorities"),
        ('"digitalSignature"', '"signing"', "key_usage.default"),
        ('["CN"]', '["XX"]', "'XX' is not a name attribute"),
        ('["sm2"]', '["dsa"]', "key_algorithms"),
        ('"vpn"', '"VPN!"', "lowercase letters"),
        ("[key_usage]", "ocsp_nocheck = true\n[key_usage]", "no CRL and no OCSP"),
        ("[key_usage]", "path_length = 0\n[key_usage]", "path_length is for authorities"),
        ("[key_usage]", 'certificate_policies = ["x"]\n[key_usage]', "certificate_policies"),
        ('required = ["CN"]', 'required = ["CN"]\npatterns = {CN = "("}', "regular expression"),
        ('required = ["CN"]', 'required = ["CN"]\ndefaults = {C = "CN"}', "neither required"),
        ("[subject]", "[alternative_names]\nmaximum = 1\n[subject]", "go together"),
    ],
)
def test_a_bad_profile_does_not_start_and_says_where(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(Misconfigured, match=r"vpn\.toml") as caught:
        parse_profile(GOOD.replace(old, new, 1), source="vpn.toml")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"revocation_url": "https://pki.test"},
        {"revocation_url": "http://pki.test/?x"},
        {"blocked_keys": ["xyz"]},
        {"unknown": 1},
    ],
)
def test_bad_settings_do_not_start(changes) -> None:
    with pytest.raises(ValueError, match=r"revocation_url|SHA-256|Extra"):
        CAConfig(**changes)
