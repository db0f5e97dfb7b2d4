"""Make the golden envelopes again: `python -m tests.golden.envelopes.regenerate`.

Every envelope is random, so that new octets are as good as the old; the keys stay.
"""

from __future__ import annotations

from pathlib import Path

from core import der
from keystore import pem, sm2, sm4
from keystore.envelope import EnvelopedKey, encode_enveloped_key, envelop
from keystore.envelope_forms import CSRResponse, encode_csr_response, encode_skf_blob

HERE = Path(__file__).parent
SIGNING = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
ENCRYPTION = 0x128B2FA8BD433C6C068C8D803DFF79792A519A55171B1B650C23661D15897263
SM4_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")


def main() -> None:
    signing = sm2.PrivateKey.from_scalar(SIGNING)
    encryption = sm2.PrivateKey.from_scalar(ENCRYPTION)
    enveloped = envelop(encryption, recipient=signing.public_key)
    scalar = ENCRYPTION.to_bytes(32, "big")
    cipher = sm2.encrypt(signing.public_key, SM4_KEY)

    def other(plaintext: bytes) -> EnvelopedKey:
        return EnvelopedKey(cipher, enveloped.point, sm4.encrypt_blocks(SM4_KEY, plaintext))

    padded = encode_enveloped_key(other(scalar + bytes([16]) * 16))
    ecb = der.sequence(bytes.fromhex("06082a811ccf55016801"), der.NULL)
    bare = der.sequence(bytes.fromhex("06072a811ccf550168"))
    plain = encode_enveloped_key(enveloped)
    body = plain[3:] if plain[1] == 0x81 else plain[2:]
    blob = encode_skf_blob(enveloped)
    right = blob[:12] + enveloped.encrypted + bytes(32) + blob[76:]
    certificate = der.sequence(b"\x02\x01\x05")
    files = {
        "signing-key.pem": pem.encode(signing.pkcs8(), "PRIVATE KEY"),
        "enveloped-key.der": plain,
        "enveloped-key-bare-sm4.der": der.sequence(bare + body[len(ecb) :]),
        "enveloped-key-padded.der": padded,
        "enveloped-key-zeros-encrypted.der": encode_enveloped_key(other(bytes(32) + scalar)),
        "csr-response.der": encode_csr_response(CSRResponse(certificate, certificate, enveloped)),
        "skf.blob": blob,
        "skf-left-aligned.blob": right,
    }
    for name, octets in files.items():
        (HERE / name).write_bytes(octets)


if __name__ == "__main__":
    main()
