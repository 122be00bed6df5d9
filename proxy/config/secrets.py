"""Values that are secrets in AWS Secrets Manager: how one is named, and what of a secret's text is the value.

Pure. Nothing here reads a secret: what has been read is handed in as a snapshot (`Secrets`), and what is not in it
is asked for by SecretsNeeded, once for all values of a configuration (`proxy.aws` answers). No message holds the
text of a secret; the names of the keys of one that is a JSON object are told where they help.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from proxy.config.model import SecretRef, Value
from proxy.config.scalars import ElsewhereError, InvalidError
from proxy.config.words import got, key_name, suggest
from proxy.errors import SidecarError
from proxy.explanations import secret_remedy

_KEYS: Final = ("secrets_manager", "key", "region")
_NAME: Final = r"[A-Za-z0-9/_+=.@!-]{1,512}"
_ARN: Final = r"arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):[0-9]{12}:secret:" + _NAME
_REGION: Final = r"[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}"
_OTHER_FORM: Final = "secret_of_other_form"
"""The explanation of a secret that was read but lacks the value."""
_MOST_KEYS: Final = 12
"""Of a secret that a message names."""


class Source(NamedTuple):
    """Where one value is: a whole secret, or with `key` one member of a JSON object."""

    ref: SecretRef
    key: str

    @property
    def origin(self) -> str:
        """As in Value."""
        return f"secrets_manager {self.ref.id}" + (f" ({self.key})" if self.key else "")


class Held(NamedTuple):
    """A secret that was read."""

    current: Value
    """The text that is staged AWSCURRENT."""
    previous: Value | None
    """The one that is staged AWSPREVIOUS, where there is one that differs."""
    version: str
    """The id of the current version. It is no secret."""


class Unread(NamedTuple):
    """A secret that could not be read."""

    reason: str
    """One word, for metrics and `/status`."""
    detail: str
    """What goes on after the secret's name, in words."""
    passing: bool
    """It may pass by itself: a network that is late, credentials that come later."""


Secrets = Mapping[SecretRef, Held | Unread]


class SecretsNeeded(SidecarError):
    """The configuration is good as far as it can be seen without these secrets. Read them, and load it again."""

    def __init__(self, refs: tuple[SecretRef, ...], config: Any) -> None:
        self.refs = refs
        self.config = config
        """A `Config` that was read in part: whatever takes no values is right in it."""
        super().__init__("secrets in Secrets Manager have to be read first")


class NotReadYet(InvalidError):
    """The value is in a secret that the snapshot does not have."""


class PassingError(ElsewhereError):
    """The value cannot be read just now."""


def parse(raw: Mapping[Any, Any], environ: Mapping[str, str]) -> Source:
    """`{secrets_manager: ID, key: …, region: …}`. Raises InvalidError."""
    for key, item in raw.items():
        if key not in _KEYS:
            raise InvalidError(f"unknown key{suggest(key, _KEYS)}; with secrets_manager go key and region")
        if not isinstance(item, str) or not item:
            what = {"secrets_manager": "the name or ARN of a secret", "region": "a region such as eu-central-1"}
            hint = "" if item == "" else f", got {got(item, quote=True)}"
            raise InvalidError(f"{key}: expected {what.get(key, 'the name of a key of the JSON object')}{hint}")
    name, region = raw["secrets_manager"], raw.get("region", "")
    arn = re.fullmatch(_ARN, name)
    if arn is None and (name.startswith("arn:") or not re.fullmatch(_NAME, name)):
        raise InvalidError("secrets_manager: expected the name or ARN of a secret")
    if region and not re.fullmatch(_REGION, region):
        raise InvalidError("region: expected a region such as eu-central-1")
    if arn is not None:
        if region and region != arn[1]:
            raise InvalidError(f"region: the secret's ARN says {arn[1]}")
        region = arn[1]
    # boto3 itself knows only the second one of the two, which all other SDKs call by the first.
    region = region or environ.get("AWS_REGION", "") or environ.get("AWS_DEFAULT_REGION", "")
    return Source(SecretRef(name, region), raw.get("key", ""))


def current(source: Source, secrets: Secrets) -> Value:
    """The value. Raises NotReadYet, PassingError, or InvalidError with what a person must mend."""
    state = secrets.get(source.ref)
    if state is None:
        raise NotReadYet("not read yet")
    if isinstance(state, Unread):
        kind = PassingError if state.passing else ElsewhereError
        raise kind(f"{source.ref}: {state.detail}", f"secret:{state.reason}", secret_remedy(state.reason))
    return Value(_text(source, state.current), source.origin)


def previous(source: Source, secrets: Secrets) -> Value | None:
    """What the value was before the secret's last rotation, where that can be told."""
    state = secrets.get(source.ref)
    if not isinstance(state, Held) or state.previous is None:
        return None
    try:
        return Value(_text(source, state.previous), f"{source.origin} AWSPREVIOUS")
    except InvalidError:
        return None


def _text(source: Source, secret: Value) -> str:
    """The part of a secret's text that is the value."""
    text = secret.reveal()
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        if source.key:
            raise ElsewhereError(f"{source.ref} is plain text, not a JSON object: leave out key", _OTHER_FORM)
        # Files that were made with an editor or with `echo` end in a line break.
        return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    there = _listed(members)
    if not source.key:
        what = f"{source.ref} is a JSON object: say with key: which member is meant; it has {there}"
        raise ElsewhereError(what, _OTHER_FORM)
    if source.key not in members:
        raise ElsewhereError(f"{source.ref} has no key {key_name(source.key)}; it has {there}", _OTHER_FORM)
    value = members[source.key]
    if not isinstance(value, str):
        what = f"{source.ref}, key {key_name(source.key)}: expected a string, got {got(value)}"
        raise ElsewhereError(what, _OTHER_FORM)
    return value


def _listed(members: Mapping[str, object]) -> str:
    names = [key_name(name) for name in members]
    more = f" and {len(names) - _MOST_KEYS} more" if len(names) > _MOST_KEYS else ""
    return ", ".join(names[:_MOST_KEYS]) + more if names else "none"
