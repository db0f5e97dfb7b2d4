"""SM2 against the examples of GB/T 32918.5-2017, annex A, and against what must be refused."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import der
from core.errors import InvalidSignature, Malformed, Misconfigured, Refused
from keystore import libcrypto, sm2, sm2_forms
from keystore.sm2_forms import N

D = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
POINT = bytes.fromhex(
    "04"
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
MESSAGE = b"message digest"
Z = bytes.fromhex("B2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3")
E = bytes.fromhex("F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640")
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
PLAINTEXT = b"encryption standard"
C1 = bytes.fromhex(
    "04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73"
    "E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0"
)
C3 = bytes.fromhex("59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766")
C2 = bytes.fromhex("21886CA989CA9C7D58087307CA93092D651EFA")

SPKI = sm2_forms.spki_of_point(POINT)
SIGNATURE = sm2_forms.encode_signature(R, S)
VARIANT = bytes.fromhex("305a301406082a811ccf5501822d06082a811ccf5501822d034200") + POINT


@pytest.fixture(scope="module")
def key() -> sm2.PrivateKey:
    return sm2.PrivateKey.from_scalar(D)


def test_sm2_is_there() -> None:
    sm2.require_sm2()


def test_a_libcrypto_without_sm2_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> sm2.PrivateKey:
        raise Refused("libcrypto makes no SM2 keys")

    monkeypatch.setattr(sm2.PrivateKey, "generate", none)
    with pytest.raises(Misconfigured, match=r"OpenSSL .* has no working SM2/SM3: set keystore\."):
        sm2.require_sm2()


def test_the_standards_key_has_the_standards_public_key(key: sm2.PrivateKey) -> None:
    assert key.public_key == SPKI
    assert SPKI.hex().startswith("3059301306072a8648ce3d020106082a811ccf5501822d03420004")


def test_z_and_e_are_those_of_the_standard() -> None:
    assert sm2.identity_digest(POINT) == Z
    assert sm2.public_key(SPKI).digest(MESSAGE) == E


def test_the_standards_signature_verifies() -> None:
    sm2.verify(SPKI, MESSAGE, SIGNATURE)


def test_our_signature_verifies_and_is_not_deterministic(key: sm2.PrivateKey) -> None:
    first, second = key.sign(MESSAGE), key.sign(MESSAGE)
    assert first != second
    sm2.verify(SPKI, MESSAGE, first)
    sm2.verify(SPKI, MESSAGE, second)


def test_both_forms_of_the_public_key_are_read_and_one_is_written() -> None:
    sm2.verify(VARIANT, MESSAGE, SIGNATURE)
    assert sm2.public_key(VARIANT).spki == SPKI


def test_another_identity_is_another_signature(key: sm2.PrivateKey) -> None:
    empty = key.sign(MESSAGE, distinguishing_id=b"")
    sm2.verify(SPKI, MESSAGE, empty, distinguishing_id=b"")
    with pytest.raises(InvalidSignature):
        sm2.verify(SPKI, MESSAGE, empty)
    with pytest.raises(InvalidSignature):
        sm2.verify(SPKI, MESSAGE, SIGNATURE, distinguishing_id=b"")


def test_an_identity_longer_than_entl_can_say_is_malformed() -> None:
    sm2.identity_digest(POINT, b"x" * 8191)
    with pytest.raises(Malformed, match="8191"):
        sm2.identity_digest(POINT, b"x" * 8192)


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (0, S),
        (R, 0),
        (N, S),
        (R, N),
        (R, S + N),
        (R + N, S),
        (R, N - R),  # r + s = 0 mod n
        (-R, S),
        (R, -S),
        (S, R),
        (R ^ 1, S),
    ],
)
def test_out_of_range_and_wrong_signatures_are_refused(r: int, s: int) -> None:
    with pytest.raises(InvalidSignature):
        sm2.verify(SPKI, MESSAGE, sm2_forms.encode_signature(r, s))


def _integers(r: bytes, s: bytes) -> bytes:
    return der.sequence(der.wrap(der.INTEGER, r), der.wrap(der.INTEGER, s))


R_OCTETS, S_OCTETS = b"\0" + R.to_bytes(32, "big"), b"\0" + S.to_bytes(32, "big")


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        R.to_bytes(32, "big") + S.to_bytes(32, "big"),  # raw
        _integers(b"\0" + R_OCTETS, S_OCTETS),  # not minimal
        _integers(R_OCTETS, b"\0" + S_OCTETS),
        SIGNATURE + b"\0",  # trailing octet
        der.sequence(SIGNATURE[2:], b"\x05\x00"),  # a third element
        b"\x30\x81" + SIGNATURE[1:],  # long length
        SIGNATURE[:-1],
    ],
)
def test_a_signature_that_is_not_der_is_refused(signature: bytes) -> None:
    assert _integers(R_OCTETS, S_OCTETS) == SIGNATURE
    with pytest.raises(InvalidSignature):
        sm2.verify(SPKI, MESSAGE, signature)


@pytest.mark.parametrize(
    "spki",
    [
        SPKI[:-1] + bytes([SPKI[-1] ^ 1]),  # off the curve
        SPKI + b"\0",
        sm2_forms.spki_of_point(b"\x04" + bytes(64)),
        sm2_forms.spki_of_point(b"\x00"),  # infinity
        sm2_forms.spki_of_point(b"\x03" + POINT[1:33]),  # compressed
        sm2_forms.spki_of_point(b"\x04" + (sm2_forms.P + 1).to_bytes(32, "big") + POINT[33:]),
        # Botan's form, which OpenSSL does not read either
        bytes.fromhex("305b301506092a811ccf5501822d0106082a811ccf5501822d034200") + POINT,
        b"",
    ],
)
def test_a_bad_public_key_is_malformed(spki: bytes) -> None:
    with pytest.raises(Malformed):
        sm2.verify(spki, MESSAGE, SIGNATURE)


@pytest.mark.parametrize("scalar", [0, N - 1, N, N + 5])
def test_a_private_key_outside_its_range_is_malformed(scalar: int) -> None:
    with pytest.raises(Malformed, match="n-2"):
        sm2.PrivateKey.from_scalar(scalar)


def test_the_greatest_private_key_signs() -> None:
    key = sm2.PrivateKey.from_scalar(N - 2)
    sm2.verify(key.public_key, MESSAGE, key.sign(MESSAGE))


def test_a_private_key_survives_pkcs8(key: sm2.PrivateKey) -> None:
    again = sm2.PrivateKey(key.pkcs8())
    assert again.public_key == SPKI
    assert again.pkcs8() == key.pkcs8()


def test_a_private_key_with_anothers_public_key_is_malformed() -> None:
    other = sm2_forms.point_of_spki(sm2.PrivateKey.generate().public_key)
    with pytest.raises(Malformed):
        sm2.PrivateKey(sm2_forms.encode_pkcs8(D, other))


def test_generated_keys_differ_and_work() -> None:
    first, second = sm2.PrivateKey.generate(), sm2.PrivateKey.generate()
    assert first.public_key != second.public_key
    with pytest.raises(InvalidSignature):
        sm2.verify(first.public_key, MESSAGE, second.sign(MESSAGE))


RAW_FORMS = [
    (b"\x04" + C1 + C3 + C2, False),
    (C1 + C3 + C2, False),  # this C1 itself begins with 04
    (b"\x04" + C1 + C2 + C3, True),
    (C1 + C2 + C3, True),
]


@pytest.mark.parametrize(("raw", "hash_last"), RAW_FORMS)
def test_the_standards_ciphertext_opens_in_every_raw_form(
    key: sm2.PrivateKey, raw: bytes, hash_last: bool
) -> None:
    cipher = sm2_forms.cipher_from_raw(raw, hash_last=hash_last)
    assert key.decrypt(cipher) == PLAINTEXT


@pytest.mark.parametrize("size", [1, 16, 32, 33, 4000])
def test_what_we_encrypt_opens(key: sm2.PrivateKey, size: int) -> None:
    plaintext = bytes(range(256)) * 16
    assert key.decrypt(sm2.encrypt(SPKI, plaintext[:size])) == plaintext[:size]


def test_a_ciphertext_made_with_a_key_stream_of_zeros_is_malformed(key: sm2.PrivateKey) -> None:
    forged, honest = _zero_stream_cipher(), _cipher_for(5, b"\x07")
    assert key.decrypt(honest) == b"\x07"
    with pytest.raises(Malformed, match="does not open"):
        key.decrypt(forged)


def _zero_stream_cipher() -> bytes:
    """One octet meets a zero key stream once in 256 times: look for such a k."""
    ciphers = (_cipher_for(k, b"\x07") for k in range(1, 5000))
    return next(c for c in ciphers if sm2_forms.decode_cipher(c).cipher_text == b"\x07")


def _cipher_for(k: int, octet: bytes) -> bytes:
    """GB/T 32918.4, 6.1 for one octet, without its step that refuses a zero key stream."""
    x1, y1 = _multiply(k, (sm2_forms.GX, sm2_forms.GY))
    shared = _multiply(k, (int.from_bytes(POINT[1:33], "big"), int.from_bytes(POINT[33:], "big")))
    x2, y2 = (number.to_bytes(32, "big") for number in shared)
    stream = sm2._sm3(x2 + y2 + bytes((0, 0, 0, 1)))[:1]
    c2 = bytes([octet[0] ^ stream[0]])
    return der.encode(sm2_forms.Cipher(x=x1, y=y1, hash=sm2._sm3(x2 + octet + y2), cipher_text=c2))


def _multiply(k: int, point: tuple[int, int]) -> tuple[int, int]:
    """Textbook double-and-add; for test vectors only."""
    result: tuple[int, int] | None = None
    for bit in f"{k:b}":
        result = _add(result, result) if result else None
        if bit == "1":
            result = _add(result, point) if result else point
    assert result is not None
    return result


def _add(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    p = sm2_forms.P
    if left == right:
        slope = (3 * left[0] ** 2 + sm2_forms.A) * pow(2 * left[1], -1, p)
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, p)
    x = (slope * slope - left[0] - right[0]) % p
    return x, (slope * (left[0] - x) - left[1]) % p


@pytest.mark.parametrize("field", ["x", "y", "hash", "cipher_text", "order"])
def test_a_ciphertext_that_was_touched_is_malformed(key: sm2.PrivateKey, field: str) -> None:
    cipher = sm2_forms.decode_cipher(sm2_forms.cipher_from_raw(C1 + C3 + C2))
    fields = {"x": cipher.x, "y": cipher.y, "hash": C3, "cipher_text": C2}
    match field:
        case "hash" | "cipher_text":
            fields[field] = bytes([fields[field][0] ^ 1]) + fields[field][1:]
        case "order":  # C1 C2 C3, read as if it were C1 C3 C2
            fields |= {"hash": (C2 + C3)[:32], "cipher_text": (C2 + C3)[32:]}
        case _:
            fields[field] ^= 1
    with pytest.raises(Malformed):
        key.decrypt(der.encode(sm2_forms.Cipher(**fields)))


def test_encrypting_nothing_is_malformed() -> None:
    with pytest.raises(Malformed):
        sm2.encrypt(SPKI, b"")


def test_eight_threads_sign_and_verify_with_one_key(key: sm2.PrivateKey) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(40):
                message = f"{number}/{turn}".encode()
                sm2.verify(SPKI, message, key.sign(message))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_failures_leave_no_error_behind_for_others(key: sm2.PrivateKey) -> None:
    with pytest.raises(InvalidSignature):
        sm2.verify(SPKI, b"another", SIGNATURE)
    assert _peek_error() == 0


def _peek_error() -> int:
    import cffi

    ffi = cffi.FFI()
    ffi.cdef("unsigned long ERR_peek_error(void);")
    opened = ffi.dlopen("libcrypto.so.3")
    return int(opened.ERR_peek_error())


def test_another_libcrypto_is_too_late() -> None:
    libcrypto.library()
    with pytest.raises(Misconfigured, match="too late"):
        libcrypto.choose("/nowhere/libcrypto.so")


def test_a_library_that_is_not_libcrypto_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"libc\.so\.6 is not an OpenSSL 3"):
        libcrypto._open("libc.so.6")


@given(st.binary(max_size=120))
def test_any_octets_are_a_signature_or_refused(octets: bytes) -> None:
    with pytest.raises(InvalidSignature):
        sm2.verify(SPKI, MESSAGE, octets)
