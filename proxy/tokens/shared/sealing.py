"""An entry as bytes that only holders of a client secret can read or make. Pure but for the nonce, which is handed in.

AES-256-GCM (NIST SP 800-38D) under a key that HKDF (RFC 5869) derives from the client secret, which every pod that
may use the token has anyway. The entry's name, a hash of the client as the token endpoint knows it and of that key, is
authenticated along with it: an entry that was moved under another name does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from proxy.secret import Secret
from proxy.tokens.endpoint import is_scopes, may_be_sent
from proxy.tokens.identity import Identity
from proxy.tokens.shared.rules import Entry

LONGEST: Final = 64 * 1024
"""Bytes of a sealed entry; more is not looked at."""
NONCE: Final = 12
_VERSION: Final = b"\x01"
_SALT: Final = b"cognito-sidecar token cache v1"


class Seal:
    """What one client secret opens and closes. It shows nothing of the secret."""

    def __init__(self, identity: Identity, secret: Secret[str]) -> None:
        derived = HKDF(SHA256(), 64, _SALT, b"entry").derive(secret.reveal().encode("utf-8", "surrogatepass"))
        self._cipher = AESGCM(derived[:32])
        # Keyed, so that a name tells nobody which client it belongs to, and each secret has an entry of its own: where
        # half of a fleet has a new secret, the halves do not take turns in replacing what the other cannot read.
        self.name = hmac.new(derived[32:], _canonical(identity), hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return f"<seal {self.name[:8]}>"

    def close(self, entry: Entry, nonce: bytes) -> bytes:
        """`entry` as bytes. No nonce of NONCE random bytes may be used twice."""
        plain = json.dumps(
            {"token": entry.token.reveal(), "obtained": entry.obtained, "life": entry.life, "scopes": entry.scopes}
        ).encode()
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, self.name.encode())

    def open(self, sealed: bytes) -> Entry | None:
        """The entry, or None for bytes that this secret did not close under this name."""
        if len(sealed) > LONGEST or sealed[:1] != _VERSION or len(sealed) <= 1 + NONCE:
            return None
        nonce, rest = sealed[1 : 1 + NONCE], sealed[1 + NONCE :]
        try:
            fields = json.loads(self._cipher.decrypt(nonce, rest, self.name.encode()))
            entry = Entry(
                Secret(str(fields["token"])),
                float(fields["obtained"]),
                float(fields["life"]),
                tuple(str(scope) for scope in fields["scopes"]),
            )
        except (InvalidTag, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        # Whoever has the secret may have been broken into: what is in an entry goes into header fields and pages.
        good = may_be_sent(entry.token.reveal()) and (not entry.scopes or is_scopes(" ".join(entry.scopes)))
        return entry if good and 0 < entry.life < float("inf") and abs(entry.obtained) < float("inf") else None


def lock_name(identity: Identity) -> str:
    """One lock for a client, whichever of its secrets a pod has."""
    return hashlib.sha256(_SALT + _canonical(identity)).hexdigest()


def _canonical(identity: Identity) -> bytes:
    """What identifies a token source, its secrets left out, in one form."""
    params = sorted((name, value.reveal()) for name, value in identity.extra_params)
    parts = [identity.token_url, identity.client_id.reveal(), sorted(identity.scopes), identity.method, params]
    return json.dumps(parts).encode()
