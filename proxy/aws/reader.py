"""Reads secrets by boto3, and says in words what went wrong. Everything here may block: it runs on a thread.

boto3 finds credentials, region, endpoint, CA bundle and proxies by itself, as AWS's own tools do. No message that it
raises is passed on, since some quote what was sent or received: only the kind of an error, and of a refusal the name
of the identity that was refused, which is where a person begins to look.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from proxy import log
from proxy.config.model import SecretRef, Value
from proxy.config.secrets import Held, Unread
from proxy.explanations import SECRETS

_TIMEOUT_SECONDS: Final = 5
_ATTEMPTS: Final = 2
_IDENTITY: Final = re.compile(r"\barn:aws[a-z-]*:(?:sts|iam)::[0-9]{12}:[\w+=,.@/-]{1,256}")
_KEEPS_QUIET: Final = ("boto3", "botocore", "s3transfer", "urllib3")

_OTHERS_WAIT: Final = frozenset({"connection", "timeout", "tls", "credentials", "no_region", "settings", "extra"})
"""What fails for one secret fails for the next one too: there is no use in waiting for that as well."""

_BY_CODE: Final = {
    "ResourceNotFoundException": "not_found",
    "InvalidRequestException": "deleted",
    "InvalidParameterException": "invalid",
    "ValidationException": "invalid",
    "DecryptionFailure": "decryption",
    "InternalServiceError": "server_error",
    "ServiceUnavailable": "server_error",
    "ThrottlingException": "throttled",
    "TooManyRequestsException": "throttled",
    "RequestLimitExceeded": "throttled",
}
_STAYS: Final = frozenset({"not_found", "deleted", "invalid", "no_region", "settings", "extra"})
"""What waiting does not mend."""
_NO_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class Reader:
    """Keeps one client for each region. Only one thread at a time may use it."""

    def __init__(self) -> None:
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def read(self, asked: Mapping[SecretRef, Held | None]) -> dict[SecretRef, Held | Unread]:
        """Read each secret; with what is held of it, so that only a new version costs a second call. Never raises."""
        found: dict[SecretRef, Held | Unread] = {}
        hopeless: dict[str, Unread] = {}
        for ref, held in asked.items():
            found[ref] = hopeless.get(ref.region) or self._read(ref, held)
            state = found[ref]
            if isinstance(state, Unread):
                if state.reason in _OTHERS_WAIT:
                    hopeless[ref.region] = state
                if state.reason in ("credentials", "access_denied", "no_region"):
                    # A client keeps the credentials, or the lack of them, that it was made with.
                    self._session = None
                    self._clients.clear()
        return found

    def _read(self, ref: SecretRef, held: Held | None) -> Held | Unread:
        try:
            client = self._client(ref.region)
        except Exception as error:  # noqa: BLE001  (whatever it is, it must become a state: see the module's text)
            return explain(error)
        try:
            answer = client.get_secret_value(SecretId=ref.id, VersionStage="AWSCURRENT")
            version = str(answer.get("VersionId", ""))
            current = _text(answer)
            if current is None:
                return unread("invalid", "binary, and not UTF-8 text")
            if held is not None and held.version == version and held.current == current:
                return held
            before = self._previous(client, ref)
            return Held(current, None if before == current else before, version)
        except Exception as error:  # noqa: BLE001  (likewise)
            return explain(error)

    def _previous(self, client: Any, ref: SecretRef) -> Value | None:
        from botocore.exceptions import ClientError  # noqa: PLC0415  (the extra)

        try:
            return _text(client.get_secret_value(SecretId=ref.id, VersionStage="AWSPREVIOUS"))
        except ClientError as error:
            # A policy may be for AWSCURRENT alone. Everything else would hide a second secret that there is.
            if _code(error) in ("ResourceNotFoundException", "AccessDeniedException"):
                return None
            raise

    def _client(self, region: str) -> Any:
        client = self._clients.get(region)
        if client is None:
            # At debug level botocore logs whole answers. Nobody asks it to, and nobody shall.
            log.silence(*_KEEPS_QUIET)
            # And it writes TLS session keys where this says, with which a recorded answer can be read.
            os.environ.pop("SSLKEYLOGFILE", None)
            import boto3  # noqa: PLC0415  (the extra; and it is large)

            self._session = self._session or boto3.session.Session(botocore_session=_session())
            client = self._session.client("secretsmanager", region_name=region or None)
            self._clients[region] = client
        return client


def _session() -> Any:
    """With time-outs for every call of AWS that comes of a reading: STS, where it gives the credentials, as well."""
    from botocore.config import Config  # noqa: PLC0415  (the extra)
    from botocore.session import get_session  # noqa: PLC0415

    session = get_session()
    config = Config(
        connect_timeout=_TIMEOUT_SECONDS,
        read_timeout=_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    session.set_default_client_config(config)
    return session


def _text(answer: Mapping[str, Any]) -> Value | None:
    """The text of GetSecretValue's answer, None where it is not text."""
    text = answer.get("SecretString")
    if text is None:
        try:
            text = bytes(answer.get("SecretBinary", b"")).decode("utf-8-sig")
        except UnicodeDecodeError:
            return None
    return Value(str(text), "secrets_manager")


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def unread(reason: str, more: str = "") -> Unread:
    """The state of a secret that cannot be read for one of the reasons of `proxy.explanations`."""
    meaning = SECRETS[reason].meaning
    return Unread(reason, f"{meaning} ({more})" if more else meaning, passing=reason not in _STAYS)


def explain(error: Exception) -> Unread:
    """What an exception of boto3, or on the way to it, means."""
    if isinstance(error, ImportError):
        return unread("extra")
    from botocore.exceptions import ClientError  # noqa: PLC0415  (the extra)

    if isinstance(error, ClientError):
        return _refused(error)
    for reason, kinds in _failures().items():
        if isinstance(error, kinds):
            return unread(reason)
    return unread("settings") if isinstance(error, ValueError) else unread("unknown", type(error).__name__)


def _failures() -> dict[str, tuple[type[Exception], ...]]:
    """What never got as far as an answer, by what it means. The first one that fits counts."""
    from botocore import exceptions as e  # noqa: PLC0415  (the extra)

    return {
        "no_region": (e.NoRegionError, e.InvalidRegionError),
        "tls": (e.SSLError,),
        "timeout": (e.ConnectTimeoutError, e.ReadTimeoutError),
        "connection": (e.ConnectionError, e.HTTPClientError),
        "credentials": (
            *(e.NoCredentialsError, e.PartialCredentialsError, e.CredentialRetrievalError, e.MetadataRetrievalError),
            *(e.TokenRetrievalError, e.NoAuthTokenError, e.SSOError, e.LoginError, e.RefreshWithMFAUnsupportedError),
            *(e.ProfileNotFound, e.InvalidConfigError, e.ConfigParseError, e.UnknownCredentialError),
        ),
    }


def _refused(error: Any) -> Unread:
    """What an answer of AWS means that is not a secret."""
    code = _code(error)
    # Only what looks like the name of an error: a proxy in between may say anything.
    known = code if re.fullmatch(r"[A-Za-z]{1,64}", code) else "an error without a name"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if error.operation_name != "GetSecretValue":
        return unread("credentials", f"{error.operation_name}: {known}")
    if code in _BY_CODE:
        return unread(_BY_CODE[code])
    if code in _NO_CREDENTIALS:
        return unread("credentials", known)
    if code in ("AccessDeniedException", "AccessDenied"):
        message = str(error.response.get("Error", {}).get("Message", ""))
        identity = _IDENTITY.search(message)
        needs = "kms:Decrypt for its key" if "kms" in message.lower() else "secretsmanager:GetSecretValue"
        return unread("access_denied", f"{f'{identity[0]}; ' if identity else ''}it needs {needs}")
    if isinstance(status, int) and status >= 500:
        return unread("server_error", known)
    return unread("unknown", known)
