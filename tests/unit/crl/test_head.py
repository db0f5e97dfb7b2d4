"""Which HTTP requests the data plane answers itself, and which it leaves to the general server."""

from __future__ import annotations

import pytest

from crl.ocsp.head import Head, parse_head

GET = b"GET /ocsp/MFUw HTTP/1.1\r\nHost: pki.example.cn\r\n"
POST = b"POST /ocsp HTTP/1.1\r\nHost: pki.example.cn\r\n"


@pytest.mark.parametrize(
    ("octets", "head"),
    [
        (GET, Head(b"MFUw", 0, True, False, "")),
        (GET.replace(b"GET", b"HEAD"), Head(b"MFUw", 0, False, False, "")),
        (GET.replace(b"1.1", b"1.0"), Head(b"MFUw", 0, True, True, "")),
        (b"GET /ocsp//M+/= HTTP/1.0\r\n", Head(b"/M+/=", 0, True, True, "")),
        (b"GET /ocsp/ HTTP/1.0\r\n", Head(b"", 0, True, True, "")),
        (GET + b"CONNECTION:\tKeep-Alive , Close\r\n", Head(b"MFUw", 0, True, True, "")),
        (GET + b'If-None-Match: "a"\r\nif-none-match: "b"  \r\n',
         Head(b"MFUw", 0, True, False, '"a", "b"')),
        (POST + b"Content-Length: 83\r\n", Head(None, 83, True, False, "")),
        (POST.replace(b"ocsp", b"ocsp/") + b"content-length:4096\r\n",
         Head(None, 4096, True, False, "")),
    ],
)  # fmt: skip
def test_the_simple_ones_are_taken(octets: bytes, head: Head):
    assert parse_head(octets + b"\r\n") == head


@pytest.mark.parametrize(
    "octets",
    [
        b"GET /ocsp HTTP/1.0\r\n",
        b"GET /ocspx HTTP/1.0\r\n",
        b"GET /crl/ec-root.crl HTTP/1.0\r\n",
        b"GET http://pki.example.cn/ocsp/MFUw HTTP/1.0\r\n",
        b"GET /ocsp/MFUw?x HTTP/1.0\r\n",
        b"GET /ocsp/MF#w HTTP/1.0\r\n",
        b"GET /ocsp/MF w HTTP/1.0\r\n",
        b"GET  /ocsp/MFUw HTTP/1.0\r\n",
        b"GET /ocsp/MFUw HTTP/1.0 \r\n",
        b"GET /ocsp/MFUw HTTP/2.0\r\n",
        b"GET /ocsp/MFUw\r\n",
        b"get /ocsp/MFUw HTTP/1.0\r\n",
        b"PUT /ocsp/MFUw HTTP/1.0\r\n",
        b"GET /ocsp/MFUw HTTP/1.1\r\n",  # no Host
        GET + b"Host: other\r\n",
        GET + b"Content-Length: 0\r\n",
        GET + b"Transfer-Encoding: chunked\r\n",
        GET + b"Upgrade: h2c\r\n",
        GET + b" folded: line\r\n",
        GET + b"Name : value\r\n",
        GET + b"name\r\n",
        GET + b"name: a\nb\r\n",
        GET + b"name: a\x00b\r\n",
        POST,
        POST + b"Content-Length: 4097\r\n",
        POST + b"Content-Length: 99999\r\n",
        POST + b"Content-Length: +8\r\n",
        POST + b"Content-Length: -8\r\n",
        POST + b"Content-Length: \xb2\r\n",
        POST + b"Content-Length:\r\n",
        POST + b"Content-Length: 8\r\nContent-Length: 8\r\n",
        POST + b"Content-Length: 8\r\nTransfer-Encoding: chunked\r\n",
        POST + b"Content-Length: 8\r\nExpect: 100-continue\r\n",
        POST.replace(b"ocsp", b"ocsp/MFUw") + b"Content-Length: 8\r\n",
    ],
)
def test_everything_else_is_left_to_the_general_server(octets: bytes):
    assert parse_head(octets + b"\r\n") is None
