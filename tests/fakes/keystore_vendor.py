"""A fake of a vendor's PKCS#11 module that does SM2 by its own mechanism numbers.

It answers the few calls of a python-pkcs11 session that the backend makes, computes with software
SM2, and refuses any number but its vendor's. It says nothing about any real device.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pkcs11 import exceptions
from pkcs11.constants import Attribute, ObjectClass

from core import der
from keystore import pin, sm2, sm2_forms
from keystore.backends.pkcs11 import PKCS11KeyBackend
from keystore.backends.pkcs11_session import TokenSession
from keystore.config import PKCS11Config, VendorSM2Config

# The numbers are from docs/hsm.md.
SANSEC = VendorSM2Config(
    key_type=0x80000004,
    key_generation_mechanism=0x80008001,
    sign_mechanism=0x80008104,
    sign_mode="digest-e",
    signature_format="detect",
)
TASS = VendorSM2Config(
    key_type=0x80000004,
    key_generation_mechanism=0x80008001,
    sign_mechanism=0x80008000,
    sign_mode="digest-e",
    signature_format="der",
)
IBM = VendorSM2Config(
    key_type=0x80050002,
    key_generation_mechanism=0x8005000A,
    sign_mechanism=0x8005000C,
    sign_mode="hash-inside",
    signature_format="detect",
)
XIHSM = VendorSM2Config(
    key_type=0xFFFF0001,
    key_generation_mechanism=0xFFFF0001,
    sign_mechanism=0xFFFF0003,
    sign_mode="hash-inside",
    signature_format="raw",
)


class VendorToken:
    """One token of a fake vendor; `answers_raw` says which signature format it gives."""

    def __init__(self, vendor: VendorSM2Config, *, answers_raw: bool = True) -> None:
        self.config = PKCS11Config(module=Path("/fake/libvendor.so"), token="fake", sm2=vendor)
        self.vendor = vendor
        self.answers_raw = answers_raw
        self.broken_answer: bytes | None = None
        self.objects: list[VendorObject] = []

    def backend(self) -> PKCS11KeyBackend:
        session = TokenSession(self.config, pin.from_value("0000"), connect=self.connect)
        return PKCS11KeyBackend(self.config.token, session, sm2=self.vendor)

    def connect(self, config: PKCS11Config, pin: str, *, reload: bool) -> VendorToken:
        return self

    def close(self) -> None:
        pass

    def generate_random(self, nbits: int) -> bytes:
        raise exceptions.RandomNoRNG

    def get_objects(self, attributes: dict[Attribute, Any]) -> Iterator[VendorObject]:
        wanted = attributes.items()
        return iter([o for o in self.objects if all(o[name] == value for name, value in wanted)])

    def generate_keypair(
        self, key_type: int, *, label: str, mechanism: int = 0, **arguments: Any
    ) -> tuple[VendorObject, VendorObject]:
        vendor = (self.vendor.key_type, self.vendor.key_generation_mechanism)
        if (int(key_type), int(mechanism)) != vendor:
            raise exceptions.MechanismInvalid
        assert arguments["private_template"][Attribute.EXTRACTABLE] is False
        parameters = arguments["public_template"][Attribute.EC_PARAMS]
        private = sm2.PrivateKey.generate()
        point = sm2_forms.point_of_spki(private.public_key)
        common = {Attribute.LABEL: label, Attribute.KEY_TYPE: self.vendor.key_type}
        public = {
            **common,
            Attribute.CLASS: ObjectClass.PUBLIC_KEY,
            Attribute.EC_PARAMS: parameters,
            Attribute.EC_POINT: der.encode(point),
        }
        secret = {**common, Attribute.CLASS: ObjectClass.PRIVATE_KEY}
        pair = VendorObject(self, public, None), VendorObject(self, secret, private)
        self.objects += pair
        return pair


class VendorObject:
    def __init__(
        self, token: VendorToken, attributes: dict[Any, Any], private: sm2.PrivateKey | None
    ) -> None:
        self._token = token
        self._attributes = attributes
        self._private = private

    def __getitem__(self, name: Attribute) -> Any:
        return self._attributes[name]

    def destroy(self) -> None:
        self._token.objects.remove(self)

    def sign(self, data: bytes, *, mechanism: int, mechanism_param: object) -> bytes:
        assert self._private is not None
        vendor = self._token.vendor
        if int(mechanism) != vendor.sign_mechanism or mechanism_param is not None:
            raise exceptions.MechanismInvalid
        if self._token.broken_answer is not None:
            return self._token.broken_answer
        if vendor.sign_mode == "digest-e":
            if len(data) != 32:
                raise exceptions.DataLenRange
            signature = self._private.sign_digest(data)
        else:
            signature = self._private.sign(data)
        if not self._token.answers_raw:
            return signature
        r, s = sm2_forms.decode_signature(signature)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
