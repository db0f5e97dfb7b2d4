from __future__ import annotations

import pytest
from cryptography import x509

from ca.altnames import (
    encode_alternative_names,
    parse_alternative_name,
    parse_general_names,
)
from ca.names import attributes_of, check_attributes, encode_name, text_of
from core.errors import Malformed, Refused


def test_a_name_is_written_in_the_order_of_the_standard() -> None:
    given = (("CN", "张三"), ("OU", "二处"), ("C", "CN"), ("OU", "一处"), ("O", "某局"))
    ordered = check_attributes(given)
    assert [short for short, _ in ordered] == ["C", "O", "OU", "OU", "CN"]
    assert ordered[2:4] == (("OU", "二处"), ("OU", "一处"))
    assert text_of(ordered) == "CN=张三,OU=一处,OU=二处,O=某局,C=CN"


def test_country_is_printable_and_the_rest_is_utf8() -> None:
    octets = encode_name((("C", "CN"), ("serialNumber", "1"), ("O", "abc")))
    assert bytes.fromhex("06035504061302434e") in octets
    assert bytes.fromhex("0603550405130131") in octets
    assert bytes.fromhex("060355040a0c03616263") in octets


@pytest.mark.parametrize(
    ("short", "value", "words"),
    [
        ("CN", "", "empty"),
        ("CN", " a", "space"),
        ("CN", "a" * 65, "65 characters, at most 64"),
        ("O", "a\x00b", "control"),
        ("O", "a\u202eb", "invisible"),
        ("O", "e\u0301", "normalisation form C"),
        ("C", "cn", "two capital letters"),
        ("C", "CHN", "at most 2"),
        ("serialNumber", "编号", "letters, digits"),
        ("E", "a@b.test", "not one of"),
    ],
)
def test_a_bad_attribute_is_refused(short: str, value: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        check_attributes(((short, value),))


def test_names_of_others_are_read_and_odd_types_refused() -> None:
    email = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "a@b.test")])
    with pytest.raises(Refused, match="subjectAltName"):
        attributes_of(email)
    pair = [x509.NameAttribute(x509.NameOID.COMMON_NAME, c) for c in "ab"]
    with pytest.raises(Refused, match="several attributes"):
        attributes_of(x509.Name([x509.RelativeDistinguishedName(pair)]))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("dns:WWW.Example.TEST", "dns:www.example.test"),
        ("dns:*.example.test", "dns:*.example.test"),
        ("dns:xn--fiqs8s.test", "dns:xn--fiqs8s.test"),
        ("ip:2001:DB8:0::1", "ip:2001:db8::1"),
        ("email:Zhang@Example.TEST", "email:Zhang@example.test"),
        ("uri:https://a.test/x?y=1", "uri:https://a.test/x?y=1"),
    ],
)
def test_a_good_alternative_name_is_written_in_one_form(text: str, written: str) -> None:
    name = parse_alternative_name(text)
    assert str(name) == written
    assert parse_general_names(encode_alternative_names([name])) == (name,)


@pytest.mark.parametrize(
    "text",
    [
        "dns:中国.test",
        "dns:a..test",
        "dns:a.test.",
        "dns:-a.test",
        "dns:a_b.test",
        "dns:www.*.test",
        "dns:w*.test",
        "dns:*.test",
        "dns:*",
        "dns:192.0.2.1",
        "dns:ab--c.test",
        "dns:xn--.test",
        "dns:" + "a." * 130 + "test",
        "dns:a.test\x00.b",
        "ip:192.0.2",
        "ip:192.0.2.0/24",
        "email:a",
        "email:a@",
        "email:@a.test",
        "email:a@*.test",
        "email:a b@c.test",
        "uri:/relative",
        "uri:https:///nohost",
        "uri:https://[::1",
        "uri:urn:uuid:1",
    ],
)
def test_a_bad_alternative_name_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_alternative_name(text)


@pytest.mark.parametrize("text", ["a.test", "x400:a", ""])
def test_an_alternative_name_says_its_kind(text: str) -> None:
    with pytest.raises(Malformed):
        parse_alternative_name(text)
