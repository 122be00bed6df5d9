"""The signing keys of a user pool, and the JWKS that publishes them. Private keys never leave this room."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from proxy.emulator.answers import compact


class SigningKey(NamedTuple):
    """One RSA key of 2,048 bits."""

    kid: str
    private: rsa.RSAPrivateKey
    public: rsa.RSAPublicKey
    jwk: dict[str, str]
    """The public half as RFC 7517 writes it, with the members that Cognito publishes."""

    def __repr__(self) -> str:
        return f"<signing key {self.kid}>"


Make = Callable[[], SigningKey]
"""Makes one key. It takes 50 to 100 ms of processor time, so it belongs on a thread."""


def generate() -> SigningKey:
    """A new key, named like Cognito's: 44 characters of base64."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    kid = base64.b64encode(hashlib.sha256(der).digest()).decode()
    numbers = public.public_numbers()
    jwk = {"alg": "RS256", "e": _number(numbers.e), "kid": kid, "kty": "RSA", "n": _number(numbers.n), "use": "sig"}
    return SigningKey(kid, private, public, jwk)


def _number(value: int) -> str:
    """RFC 7518 section 2, Base64urlUInt."""
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


class Pair(NamedTuple):
    """What one generation of a user pool's keys is: Cognito signs ID tokens and access tokens with different ones."""

    id_tokens: SigningKey
    access_tokens: SigningKey


def make_pair(make: Make = generate) -> Pair:
    return Pair(make(), make())


class KeyRing:
    """The keys that are published now. A token whose key is not among them is worth nothing."""

    def __init__(self, pair: Pair) -> None:
        self.current = pair
        self._published: dict[str, SigningKey] = {}
        self.rotate(pair)

    def rotate(self, pair: Pair, *, keep_old: bool = False) -> None:
        """Sign with `pair` from now on. With `keep_old` the earlier keys stay published, and their tokens good."""
        old = self._published if keep_old else {}
        self.current = pair
        self._published = {key.kid: key for key in pair} | old
        self.jwks = compact({"keys": [key.jwk for key in self._published.values()]})

    @property
    def kids(self) -> list[str]:
        return list(self._published)

    def find(self, kid: str) -> rsa.RSAPublicKey | None:
        key = self._published.get(kid)
        return key.public if key else None
