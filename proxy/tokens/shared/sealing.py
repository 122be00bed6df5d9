"""An entry, or a note, as bytes that only holders of a client secret can read or make.

Pure but for the nonce, which is handed in. AES-256-GCM (NIST SP 800-38D) under a key that HKDF (RFC 5869) derives from
the client secret, which every pod that may use the token has anyway. The name, a hash of the client as the token
endpoint knows it and of that key, is authenticated along with it: what was moved under another name does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from proxy.errors import REASONS
from proxy.secret import Secret
from proxy.tokens.endpoint import is_scopes, may_be_sent
from proxy.tokens.identity import Identity
from proxy.tokens.shared.rules import Entry, Note

LONGEST: Final = 64 * 1024
"""Bytes of a sealed entry; more is not looked at."""
NONCE: Final = 12
_VERSION: Final = b"\x01"
_SALT: Final = b"cognito-sidecar token cache v1"
_WRONG: Final = (InvalidTag, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What comes of bytes that are not what they should be."""


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

    @property
    def note_name(self) -> str:
        """Of the note that a call with this secret failed."""
        return f"failed:{self.name}"

    def close(self, entry: Entry, nonce: bytes) -> bytes:
        """`entry` as bytes. No nonce of NONCE random bytes may be used twice."""
        token = entry.token.reveal()
        fields = {"token": token, "obtained": entry.obtained, "life": entry.life, "scopes": entry.scopes}
        return self._close(fields, nonce, self.name)

    def open(self, sealed: bytes) -> Entry | None:
        """The entry, or None for bytes that this secret did not close under this name."""
        try:
            fields = self._open(sealed, self.name)
            entry = Entry(
                Secret(str(fields["token"])),
                float(fields["obtained"]),
                float(fields["life"]),
                tuple(str(scope) for scope in fields["scopes"]),
            )
        except _WRONG:
            return None
        # Whoever has the secret may have been broken into: what is in an entry goes into header fields and pages.
        good = may_be_sent(entry.token.reveal()) and (not entry.scopes or is_scopes(" ".join(entry.scopes)))
        return entry if good and 0 < entry.life < float("inf") and abs(entry.obtained) < float("inf") else None

    def close_note(self, note: Note, nonce: bytes) -> bytes:
        """`note` as bytes, as `close` does."""
        return self._close({"reason": note.reason, "at": note.at}, nonce, self.note_name)

    def open_note(self, sealed: bytes) -> Note | None:
        """The note, as `open` does."""
        try:
            fields = self._open(sealed, self.note_name)
            reason = next(reason for reason in REASONS if reason == fields["reason"])
            return Note(reason, float(fields["at"]))
        except (*_WRONG, StopIteration):
            return None

    def _close(self, fields: dict[str, object], nonce: bytes, name: str) -> bytes:
        return _VERSION + nonce + self._cipher.encrypt(nonce, json.dumps(fields).encode(), name.encode())

    def _open(self, sealed: bytes, name: str) -> Any:
        """What was closed under this name. Raises one of _WRONG."""
        if len(sealed) > LONGEST or sealed[:1] != _VERSION or len(sealed) <= 1 + NONCE:
            raise ValueError("not sealed by us")
        nonce, rest = sealed[1 : 1 + NONCE], sealed[1 + NONCE :]
        return json.loads(self._cipher.decrypt(nonce, rest, name.encode()))


def lock_name(identity: Identity) -> str:
    """One lock for a client, whichever of its secrets a pod has."""
    return hashlib.sha256(_SALT + _canonical(identity)).hexdigest()


def _canonical(identity: Identity) -> bytes:
    """What identifies a token source, its secrets left out, in one form."""
    params = sorted((name, value.reveal()) for name, value in identity.extra_params)
    parts = [identity.token_url, identity.client_id.reveal(), sorted(identity.scopes), identity.method, params]
    return json.dumps(parts).encode()
