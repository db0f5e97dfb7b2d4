"""Signature Version 4 against the example of its own documentation."""

from __future__ import annotations

from datetime import UTC, datetime

from crl.sigv4 import AccessKey, escaped, signed_headers

KEY = AccessKey("AKIAIOSFODNN7EXAMPLE", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
HOST = "examplebucket.s3.amazonaws.com"
NOW = datetime(2013, 5, 24, tzinfo=UTC)


def signature(method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    signed = signed_headers(method, path, {"host": HOST, **headers}, body, key=KEY, now=NOW)
    return signed["authorization"].rpartition("Signature=")[2]


def test_the_example_of_getting_an_object():
    assert signature("GET", "/test.txt", {"range": "bytes=0-9"}, b"") == (
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_example_of_putting_an_object():
    headers = {
        "date": "Fri, 24 May 2013 00:00:00 GMT",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
    }
    assert signature("PUT", "/test$file.text", headers, b"Welcome to Amazon S3.") == (
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )


def test_paths_are_escaped_once_and_the_secret_is_never_shown():
    assert escaped("/b/crl/a b+c.crl") == "/b/crl/a%20b%2Bc.crl"
    assert "EXAMPLEKEY" not in repr(KEY)
