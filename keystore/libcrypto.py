"""The system's libcrypto, for what `cryptography` does not offer: SM2, and PKCS#12's derivation.

cffi in ABI mode: the functions are found by name at start, and every call releases the GIL.
A process has one libcrypto; wiring names it once, before anything is signed.
"""

from __future__ import annotations

import threading
from ctypes.util import find_library
from typing import Any, Final

import cffi

from core.errors import Misconfigured

ffi: Final = cffi.FFI()
ffi.cdef("""
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_pkey_ctx_st EVP_PKEY_CTX;
EVP_PKEY *d2i_PUBKEY(EVP_PKEY **key, const unsigned char **in, long size);
EVP_PKEY *d2i_AutoPrivateKey(EVP_PKEY **key, const unsigned char **in, long size);
int i2d_PUBKEY(const EVP_PKEY *key, unsigned char **out);
int i2d_PrivateKey(const EVP_PKEY *key, unsigned char **out);
void EVP_PKEY_free(EVP_PKEY *key);
EVP_PKEY *EVP_PKEY_dup(EVP_PKEY *key);
int EVP_PKEY_set1_encoded_public_key(EVP_PKEY *key, const unsigned char *point, size_t size);
int EVP_PKEY_is_a(const EVP_PKEY *key, const char *name);
EVP_PKEY_CTX *EVP_PKEY_CTX_new(EVP_PKEY *key, void *engine);
EVP_PKEY_CTX *EVP_PKEY_CTX_new_from_name(void *library, const char *name, const char *query);
void EVP_PKEY_CTX_free(EVP_PKEY_CTX *context);
int EVP_PKEY_keygen_init(EVP_PKEY_CTX *context);
int EVP_PKEY_generate(EVP_PKEY_CTX *context, EVP_PKEY **key);
int EVP_PKEY_check(EVP_PKEY_CTX *context);
int EVP_PKEY_sign_init(EVP_PKEY_CTX *context);
int EVP_PKEY_sign(EVP_PKEY_CTX *context, unsigned char *out, size_t *size,
                  const unsigned char *digest, size_t digest_size);
int EVP_PKEY_verify_init(EVP_PKEY_CTX *context);
int EVP_PKEY_verify(EVP_PKEY_CTX *context, const unsigned char *signature, size_t size,
                    const unsigned char *digest, size_t digest_size);
int EVP_PKEY_encrypt_init(EVP_PKEY_CTX *context);
int EVP_PKEY_encrypt(EVP_PKEY_CTX *context, unsigned char *out, size_t *size,
                     const unsigned char *in, size_t in_size);
int EVP_PKEY_decrypt_init(EVP_PKEY_CTX *context);
int EVP_PKEY_decrypt(EVP_PKEY_CTX *context, unsigned char *out, size_t *size,
                     const unsigned char *in, size_t in_size);
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
int PKCS12_key_gen_uni(const unsigned char *password, int password_size,
                       const unsigned char *salt, int salt_size, int id, int iterations,
                       int size, unsigned char *out, const EVP_MD *digest);
void ERR_clear_error(void);
const char *OpenSSL_version(int kind);
""")

_lock = threading.Lock()
_state: dict[str, Any] = {}


def choose(path: str | None) -> None:
    """Use the libcrypto at `path` (None: the system's). Raises `Misconfigured`.

    Choosing the same again does nothing; choosing another one after the first is refused, since
    keys parsed by one library cannot be used with the other.
    """
    with _lock:
        if "library" in _state:
            if _state["path"] != path and path is not None:
                raise Misconfigured(f"keystore.libcrypto_path came too late: {path!r}")
            return
        _state["library"] = _open(path)
        _state["path"] = path


def library() -> Any:
    """Return the functions of libcrypto. Raises `Misconfigured` when there is none."""
    if "library" not in _state:
        choose(None)
    return _state["library"]


def version() -> str:
    """Return what the library calls itself, like ``OpenSSL 3.0.19 27 Jan 2026``."""
    text = ffi.string(library().OpenSSL_version(0))
    return text if isinstance(text, str) else text.decode()


def _open(path: str | None) -> Any:
    # find_library starts programs (ldconfig, gcc); the name on every distribution we know comes
    # first, and costs nothing.
    names = [path] if path is not None else ["libcrypto.so.3", find_library("crypto")]
    for name in names:
        if name is None:
            continue
        try:
            opened: Any = ffi.dlopen(name)
            opened.EVP_PKEY_generate  # noqa: B018  # the look-up fails before OpenSSL 3
        except (OSError, AttributeError):
            continue
        return opened
    wanted = path or "libcrypto.so.3"
    raise Misconfigured(
        f"{wanted} is not an OpenSSL 3 (or later) library: install libssl3, "
        "or set keystore.libcrypto_path"
    )
