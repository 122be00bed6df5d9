"""Reads secrets by boto3, and says in words what went wrong. Everything here may block: it runs on a thread.

boto3 finds credentials, region, endpoint, CA bundle and proxies by itself, as AWS's own tools do. No message that it
raises is passed on, since some quote what was sent or received: only the kind of an error, and of a refusal the name
of the identity that was refused, which is where a person begins to look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from proxy import log
from proxy.config.model import SecretRef, Value
from proxy.config.secrets import Held, Unread

NO_ANSWER: Final = "Secrets Manager did not answer in time"
EXTRA: Final = "pip install 'cognito-sidecar[aws]'"
_TIMEOUT_SECONDS: Final = 5
_ATTEMPTS: Final = 2
_IDENTITY: Final = re.compile(r"\barn:aws[a-z-]*:(?:sts|iam)::[0-9]{12}:[\w+=,.@/-]{1,256}")
_KEEPS_QUIET: Final = ("boto3", "botocore", "s3transfer", "urllib3")

_OTHERS_WAIT: Final = frozenset({"connection", "timeout", "tls", "credentials", "no_region", "settings", "extra"})
"""What fails for one secret fails for the next one too: there is no use in waiting for that as well."""

_BY_CODE: Final = {
    "ResourceNotFoundException": ("not_found", "there is no such secret", False),
    "InvalidRequestException": ("deleted", "it cannot be read: it is marked for deletion, or has no value yet", False),
    "InvalidParameterException": ("invalid", "Secrets Manager does not take this name", False),
    "ValidationException": ("invalid", "Secrets Manager does not take this name", False),
    "DecryptionFailure": ("decryption", "Secrets Manager cannot decrypt it: is its KMS key there and enabled?", True),
    "InternalServiceError": ("server_error", "Secrets Manager has an error of its own", True),
    "ServiceUnavailable": ("server_error", "Secrets Manager has an error of its own", True),
    "ThrottlingException": ("throttled", "Secrets Manager is asked too often", True),
    "TooManyRequestsException": ("throttled", "Secrets Manager is asked too often", True),
    "RequestLimitExceeded": ("throttled", "Secrets Manager is asked too often", True),
}
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
                return Unread("invalid", "it is binary and not UTF-8 text", passing=False)
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
            import boto3  # noqa: PLC0415  (the extra; and it is large)
            from botocore.config import Config  # noqa: PLC0415

            config = Config(
                connect_timeout=_TIMEOUT_SECONDS,
                read_timeout=_TIMEOUT_SECONDS,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            )
            self._session = self._session or boto3.session.Session()
            client = self._session.client("secretsmanager", region_name=region or None, config=config)
            self._clients[region] = client
        return client


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


def explain(error: Exception) -> Unread:
    """What an exception of boto3, or on the way to it, means."""
    if isinstance(error, ImportError):
        return Unread("extra", f"reading it takes boto3: {EXTRA}", passing=False)
    from botocore.exceptions import ClientError  # noqa: PLC0415  (the extra)

    if isinstance(error, ClientError):
        return _refused(error)
    for kinds, state in _failures():
        if isinstance(error, kinds):
            return state
    if isinstance(error, ValueError):
        return Unread("settings", "the endpoint, or another of AWS's settings, is not valid", passing=False)
    return Unread("unknown", f"it cannot be read ({type(error).__name__})", passing=True)


def _failures() -> tuple[tuple[tuple[type[Exception], ...], Unread], ...]:
    """What never got as far as an answer. The first one that fits counts."""
    from botocore import exceptions as e  # noqa: PLC0415  (the extra)

    no_region = "no region is set: give the value a region, or set AWS_REGION"
    credentials = (
        *(e.NoCredentialsError, e.PartialCredentialsError, e.CredentialRetrievalError, e.MetadataRetrievalError),
        *(e.TokenRetrievalError, e.NoAuthTokenError, e.SSOError, e.LoginError, e.RefreshWithMFAUnsupportedError),
        *(e.ProfileNotFound, e.InvalidConfigError, e.ConfigParseError, e.UnknownCredentialError),
    )
    return (
        ((e.NoRegionError, e.InvalidRegionError), Unread("no_region", no_region, passing=False)),
        (
            (e.SSLError,),
            Unread("tls", "the certificate of Secrets Manager cannot be verified (see AWS_CA_BUNDLE)", passing=True),
        ),
        ((e.ConnectTimeoutError, e.ReadTimeoutError), Unread("timeout", NO_ANSWER, passing=True)),
        (
            (e.ConnectionError, e.HTTPClientError),
            Unread("connection", "Secrets Manager cannot be reached", passing=True),
        ),
        (credentials, Unread("credentials", "no AWS credentials were found to read it with", passing=True)),
    )


def _refused(error: Any) -> Unread:
    """What an answer of AWS means that is not a secret."""
    code = _code(error)
    # Only what looks like the name of an error: a proxy in between may say anything.
    known = code if re.fullmatch(r"[A-Za-z]{1,64}", code) else "an error without a name"
    if error.operation_name != "GetSecretValue":
        return Unread("credentials", f"AWS gives no credentials for it ({error.operation_name}: {known})", passing=True)
    if code in _BY_CODE:
        return Unread(*_BY_CODE[code])
    if code in _NO_CREDENTIALS:
        return Unread("credentials", f"AWS does not accept the credentials ({known})", passing=True)
    if code in ("AccessDeniedException", "AccessDenied"):
        message = str(error.response.get("Error", {}).get("Message", ""))
        identity = _IDENTITY.search(message)
        who = identity[0] if identity else "this identity"
        needs = "kms:Decrypt for its key" if "kms" in message.lower() else "secretsmanager:GetSecretValue"
        return Unread("access_denied", f"{who} may not read it: it needs {needs}", passing=True)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if isinstance(status, int) and status >= 500:
        return Unread("server_error", f"Secrets Manager has an error of its own ({known})", passing=True)
    return Unread("unknown", f"Secrets Manager refuses ({known})", passing=False)
