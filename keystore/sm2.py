"""SM2 (GB/T 32918, GM/T 0003): signatures with SM3, and public key encryption.

libcrypto does the curve; the identity (Z), the encodings and their checks are ours, because
libcrypto's default identity is empty before version 4 and the standard's from then on. Signing
``e = SM3(Z || M)`` as a digest gives the same result on every version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

from core.errors import InvalidSignature, Malformed, Misconfigured, Refused
from keystore import libcrypto, sm2_forms
from keystore.libcrypto import ffi

DEFAULT_ID: Final = b"1234567812345678"
"""The distinguishing identifier when nothing else is agreed (GM/T 0009, 10)."""

_MAX_ID_OCTETS: Final = 8191  # ENTL counts bits in two octets
_MAX_SIGNATURE_OCTETS: Final = 72
_MOST_IDLE: Final = 64
_CURVE_CONSTANTS: Final = b"".join(
    number.to_bytes(32, "big") for number in (sm2_forms.A, sm2_forms.B, sm2_forms.GX, sm2_forms.GY)
)
_BASE_POINT: Final = b"\x04" + b"".join(
    number.to_bytes(32, "big") for number in (sm2_forms.GX, sm2_forms.GY)
)


def require_sm2(libcrypto_path: str | None = None) -> None:
    """Check once, at start, that SM2 and SM3 work here. Raises `Misconfigured`."""
    libcrypto.choose(libcrypto_path)
    try:
        key = PrivateKey.generate()
        verify(key.public_key, b"probe", key.sign(b"probe"))
    except (Refused, InvalidSignature, ValueError) as error:
        raise Misconfigured(
            f"{libcrypto.version()} has no working SM2/SM3: set keystore.libcrypto_path to one "
            "that has (OpenSSL 3 as Debian builds it, or Tongsuo)"
        ) from error


def identity_digest(point: bytes, distinguishing_id: bytes = DEFAULT_ID) -> bytes:
    """Return Z of a signer (GB/T 32918.2, 5.5): its identity, the curve and its public key."""
    if len(distinguishing_id) > _MAX_ID_OCTETS:
        raise Malformed(f"an SM2 identifier has at most {_MAX_ID_OCTETS} octets")
    entl = (8 * len(distinguishing_id)).to_bytes(2, "big")
    return _sm3(entl + distinguishing_id + _CURVE_CONSTANTS + point[1:])


def verify(
    spki: bytes, message: bytes, signature: bytes, *, distinguishing_id: bytes = DEFAULT_ID
) -> None:
    """Check a DER signature over the whole message. Raises `InvalidSignature` or `Malformed`.

    `Malformed` is for the public key; a signature that is not DER is an invalid signature.
    """
    public_key(spki).verify(message, signature, distinguishing_id=distinguishing_id)


def encrypt(spki: bytes, plaintext: bytes) -> bytes:
    """Encrypt to a public key; returns a DER SM2Cipher. Raises `Malformed` for a bad key."""
    return public_key(spki).encrypt(plaintext)


@lru_cache(maxsize=1024)
def public_key(spki: bytes) -> PublicKey:
    """Parse a SubjectPublicKeyInfo. Raises `Malformed`."""
    return PublicKey(sm2_forms.point_of_spki(spki))


class PublicKey:
    """A public key, parsed once. Safe to share between threads."""

    __slots__ = ("_key", "_point", "_verifying", "_z", "spki")

    def __init__(self, point: bytes) -> None:
        self.spki = sm2_forms.spki_of_point(point)
        self._point = point
        self._z = identity_digest(point)
        self._key = _public(point)
        self._verifying = _Contexts(self._key, libcrypto.library().EVP_PKEY_verify_init)

    def digest(self, message: bytes, distinguishing_id: bytes = DEFAULT_ID) -> bytes:
        """Return e, what is really signed for `message` by this key (GB/T 32918.2, 6.1)."""
        known = distinguishing_id == DEFAULT_ID
        z = self._z if known else identity_digest(self._point, distinguishing_id)
        return _sm3(z + message)

    def verify(
        self, message: bytes, signature: bytes, *, distinguishing_id: bytes = DEFAULT_ID
    ) -> None:
        """Raises `InvalidSignature`."""
        self.verify_digest(self.digest(message, distinguishing_id), signature)

    def verify_digest(self, digest: bytes, signature: bytes) -> None:
        """Check a DER signature over e. Raises `InvalidSignature`."""
        try:
            sm2_forms.decode_signature(signature)
        except Malformed as error:
            raise InvalidSignature(str(error)) from error

        def call(context: Any) -> bool:
            verdict: int = libcrypto.library().EVP_PKEY_verify(
                context, signature, len(signature), digest, len(digest)
            )
            return verdict == 1

        if not self._verifying.use(call):
            raise InvalidSignature("the SM2 signature does not verify")

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return a DER SM2Cipher (GB/T 32918.4; GM/T 0009, 7.2)."""
        if not plaintext:
            raise Malformed("SM2 does not encrypt nothing")
        # Most keys verify and never encrypt: nothing is kept for that.
        contexts = _Contexts(self._key, libcrypto.library().EVP_PKEY_encrypt_init)
        sealed = _output(contexts, "EVP_PKEY_encrypt", plaintext)
        if sealed is None:
            raise Refused("libcrypto did not encrypt")
        return sealed


class PrivateKey:
    """A private key in this process's memory. Safe to share between threads."""

    def __init__(self, pkcs8: bytes) -> None:
        scalar, stated = sm2_forms.decode_pkcs8(pkcs8)
        self._scalar = scalar
        key = _load(sm2_forms.encode_pkcs8(scalar, stated), libcrypto.library().d2i_AutoPrivateKey)
        if key is None or not _consistent(key):
            raise Malformed("the SM2 private key does not fit its public key")
        self._public = PublicKey(sm2_forms.point_of_spki(_dump(key, "i2d_PUBKEY")))
        self._signing = _Contexts(key, libcrypto.library().EVP_PKEY_sign_init)
        self._decrypting = _Contexts(key, libcrypto.library().EVP_PKEY_decrypt_init)

    @classmethod
    def generate(cls) -> PrivateKey:
        """Make a new key pair. Raises `Refused` when libcrypto has no SM2."""
        lib = libcrypto.library()
        context = ffi.gc(
            lib.EVP_PKEY_CTX_new_from_name(ffi.NULL, b"SM2", ffi.NULL), lib.EVP_PKEY_CTX_free
        )
        made = ffi.new("EVP_PKEY **")
        if (
            context == ffi.NULL
            or lib.EVP_PKEY_keygen_init(context) != 1
            or lib.EVP_PKEY_generate(context, made) != 1
        ):
            lib.ERR_clear_error()
            raise Refused("libcrypto makes no SM2 keys")
        key = ffi.gc(made[0], lib.EVP_PKEY_free)
        return cls.from_scalar(sm2_forms.scalar_of_sec1(_dump(key, "i2d_PrivateKey")))

    @classmethod
    def from_scalar(cls, scalar: int) -> PrivateKey:
        """Take d, in [1, n-2]. Raises `Malformed`."""
        return cls(sm2_forms.encode_pkcs8(scalar, None))

    @property
    def public_key(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        return self._public.spki

    def pkcs8(self) -> bytes:
        """Return the private key in clear as DER PKCS#8, for whoever encrypts it at once."""
        return sm2_forms.encode_pkcs8(self._scalar, sm2_forms.point_of_spki(self._public.spki))

    def sign(self, message: bytes, *, distinguishing_id: bytes = DEFAULT_ID) -> bytes:
        """Sign the whole message; returns DER ``SEQUENCE {r, s}``."""
        return self.sign_digest(self._public.digest(message, distinguishing_id))

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign e itself, for whoever has computed it with the signer's Z."""
        out = ffi.new("unsigned char[]", _MAX_SIGNATURE_OCTETS)
        size = ffi.new("size_t *", _MAX_SIGNATURE_OCTETS)

        def call(context: Any) -> bool:
            done: int = libcrypto.library().EVP_PKEY_sign(context, out, size, digest, len(digest))
            return done == 1

        if not self._signing.use(call):
            raise Refused("libcrypto did not sign")
        return bytes(ffi.buffer(out, size[0]))

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Open a DER SM2Cipher. Raises `Malformed`, for every reason with the same words."""
        cipher = sm2_forms.decode_cipher(ciphertext)
        opened = _output(self._decrypting, "EVP_PKEY_decrypt", ciphertext)
        # GB/T 32918.4, 7.1 B4: a key stream of zeros is an error, and shows as C2 = M. OpenSSL
        # 3.0.19 refuses it itself; another libcrypto may be configured.
        if opened is None or opened == cipher.cipher_text:
            raise Malformed("the SM2 ciphertext does not open with this key")
        return opened


class _Contexts:
    """Initialised EVP_PKEY_CTX of one key and one operation, each in use by one thread at a time.

    Making one costs a tenth of a signature, and one may not be shared while in use; taking from a
    list and giving back is atomic without a lock.
    """

    __slots__ = ("_idle", "_initialise", "_key")

    def __init__(self, key: Any, initialise: Callable[[Any], int]) -> None:
        self._key = key
        self._initialise = initialise
        self._idle: list[Any] = []

    def use(self, call: Callable[[Any], bool]) -> bool:
        """Run `call` on a context; True if it succeeded. One that failed is not used again."""
        try:
            context = self._idle.pop()
        except IndexError:
            context = self._make()
        if not call(context):
            # The queue of errors belongs to the thread and is shared with `ssl`: leave none in it.
            libcrypto.library().ERR_clear_error()
            return False
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(context)
        return True

    def _make(self) -> Any:
        lib = libcrypto.library()
        context = ffi.gc(lib.EVP_PKEY_CTX_new(self._key, ffi.NULL), lib.EVP_PKEY_CTX_free)
        if context == ffi.NULL or self._initialise(context) != 1:
            lib.ERR_clear_error()
            raise Refused("libcrypto does not use this SM2 key")
        return context


def _output(contexts: _Contexts, function: str, data: bytes) -> bytes | None:
    """Call an encrypting or decrypting function: first for the size, then for the octets."""
    size = ffi.new("size_t *")
    result: list[bytes] = []

    def call(context: Any) -> bool:
        transform = getattr(libcrypto.library(), function)
        if transform(context, ffi.NULL, size, data, len(data)) != 1:
            return False
        out = ffi.new("unsigned char[]", size[0])
        if transform(context, out, size, data, len(data)) != 1:
            return False
        result.append(bytes(ffi.buffer(out, size[0])))
        return True

    return result[0] if contexts.use(call) else None


def _public(point: bytes) -> Any:
    """Make a key of a point. Raises `Malformed` if libcrypto does not take it."""
    lib = libcrypto.library()
    # A copy of another key, with this point: a twentieth of what parsing its DER costs, which
    # looks for decoders and sets the curve up each time.
    key = ffi.gc(lib.EVP_PKEY_dup(_pattern()), lib.EVP_PKEY_free)
    if key == ffi.NULL or lib.EVP_PKEY_set1_encoded_public_key(key, point, len(point)) != 1:
        lib.ERR_clear_error()
        raise Malformed("libcrypto does not take this SM2 public key")
    return key


@cache
def _pattern() -> Any:
    """Return the base point as a public key, to be copied and never used."""
    key = _load(sm2_forms.spki_of_point(_BASE_POINT), libcrypto.library().d2i_PUBKEY)
    if key is None:
        raise Refused("libcrypto has no SM2")
    return key


def _load(octets: bytes, parse: Any) -> Any:
    """Parse a key with libcrypto; None unless it is an SM2 key."""
    lib = libcrypto.library()
    buffer = ffi.from_buffer("unsigned char[]", octets)
    key = parse(ffi.NULL, ffi.new("const unsigned char **", buffer), len(octets))
    if key == ffi.NULL:
        lib.ERR_clear_error()
        return None
    key = ffi.gc(key, lib.EVP_PKEY_free)
    return key if lib.EVP_PKEY_is_a(key, b"SM2") == 1 else None


def _dump(key: Any, function: str) -> bytes:
    encode = getattr(libcrypto.library(), function)
    size = encode(key, ffi.NULL)
    out = ffi.new("unsigned char[]", max(size, 1))
    if size <= 0 or encode(key, ffi.new("unsigned char **", out)) != size:
        libcrypto.library().ERR_clear_error()
        raise Refused("libcrypto does not write this SM2 key")
    return bytes(ffi.buffer(out, size))


def _consistent(key: Any) -> bool:
    """Check with libcrypto: d in its range, P on the curve, P = dG."""
    lib = libcrypto.library()
    context = ffi.gc(lib.EVP_PKEY_CTX_new(key, ffi.NULL), lib.EVP_PKEY_CTX_free)
    if context != ffi.NULL and lib.EVP_PKEY_check(context) == 1:
        return True
    lib.ERR_clear_error()
    return False


def _sm3(octets: bytes) -> bytes:
    return hashlib.new("sm3", octets).digest()
