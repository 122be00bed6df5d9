"""What boto3 answers and raises, in words; and the real boto3 against a Secrets Manager that nobody here wrote."""

from __future__ import annotations

import asyncio
import builtins
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions as errors
import pytest
from botocore.exceptions import ClientError

from proxy import log
from proxy.aws.reader import Reader, explain
from proxy.config.model import SecretRef, Value
from proxy.config.secrets import Held, Unread
from tests.aws.manager import REGION, Manager
from tests.certificates import Authority

SECRET = "s3cr3t-that-nobody-may-see"


def refusal(code: str, message: str = SECRET, *, status: int = 400, operation: str = "GetSecretValue") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},
        operation,
    )


ROLE = "arn:aws:sts::123456789012:assumed-role/orders/i-0123"
DENIED = (
    f"User: {ROLE} is not authorized to perform: secretsmanager:GetSecretValue on resource: prod/orders "
    "because no identity-based policy allows the secretsmanager:GetSecretValue action"
)


@pytest.mark.parametrize(
    ("error", "reason", "passing", "words"),
    [
        (refusal("ResourceNotFoundException"), "not_found", False, "there is no such secret"),
        (refusal("InvalidRequestException"), "deleted", False, "marked for deletion"),
        (refusal("ThrottlingException"), "throttled", True, "too often"),
        (refusal("DecryptionFailure"), "decryption", True, "cannot decrypt it"),
        (refusal("InternalServiceError", status=500), "server_error", True, "an error of its own"),
        (refusal("Whatever", status=503), "server_error", True, "(Whatever)"),
        (refusal(f"<{SECRET}>"), "unknown", True, "an error without a name"),
        (refusal("SomethingNew"), "unknown", True, "(SomethingNew)"),
        (refusal("ExpiredTokenException"), "credentials", True, "(ExpiredTokenException)"),
        (
            refusal("AccessDeniedException", DENIED),
            "access_denied",
            True,
            f"may not read it ({ROLE}; it needs secretsmanager:GetSecretValue)",
        ),
        (refusal("AccessDeniedException", "Access to KMS is not allowed"), "access_denied", True, "needs kms:Decrypt"),
        (refusal("AccessDeniedException"), "access_denied", True, "this identity may not read it (it needs"),
        (
            refusal("AccessDenied", operation="AssumeRoleWithWebIdentity"),
            "credentials",
            True,
            "there are no AWS credentials to read it with, or AWS does not accept them (AssumeRoleWithWebIdentity: Acc",
        ),
        (errors.NoCredentialsError(), "credentials", True, "there are no AWS credentials"),
        (
            errors.CredentialRetrievalError(provider="x", error_msg=SECRET),
            "credentials",
            True,
            "there are no AWS credentials",
        ),
        (errors.ProfileNotFound(profile="x"), "credentials", True, "there are no AWS credentials"),
        (errors.NoRegionError(), "no_region", False, "no region is set"),
        (errors.EndpointConnectionError(endpoint_url=SECRET), "connection", True, "cannot be reached"),
        (errors.ConnectTimeoutError(endpoint_url=SECRET), "timeout", True, "did not answer in time"),
        (errors.ReadTimeoutError(endpoint_url=SECRET), "timeout", True, "did not answer in time"),
        (errors.ProxyConnectionError(proxy_url=SECRET), "connection", True, "cannot be reached"),
        (errors.SSLError(endpoint_url=SECRET, error="x"), "tls", True, "cannot be verified"),
        (errors.ConnectionClosedError(endpoint_url=SECRET), "connection", True, "cannot be reached"),
        (ValueError(f"Invalid endpoint: {SECRET}"), "settings", False, "the endpoint, or another of AWS's settings"),
        (RuntimeError(SECRET), "unknown", True, "(RuntimeError)"),
        (ModuleNotFoundError("No module named 'boto3'"), "extra", False, "boto3"),
    ],
)
def test_what_an_error_means(error: Exception, reason: str, passing: bool, words: str) -> None:
    state = explain(error)
    assert (state.reason, state.passing) == (reason, passing)
    assert words in state.detail
    assert SECRET not in repr(state)


class Client:
    """Answers from a script: what each stage holds, or an error."""

    def __init__(self, **stages: Any) -> None:
        self.stages = stages
        self.calls: list[str] = []

    def get_secret_value(self, SecretId: str, VersionStage: str) -> dict[str, Any]:  # noqa: N803 - as AWS calls it
        self.calls.append(VersionStage)
        answer = self.stages.get(VersionStage, refusal("ResourceNotFoundException"))
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


def reader_of(client: Client) -> Reader:
    reader = Reader()
    reader._clients[""] = client
    return reader


ONE, TWO = SecretRef("one", ""), SecretRef("two", "")


def version(number: int, **content: Any) -> dict[str, Any]:
    return {"VersionId": f"v{number}", "SecretString": f"text-{number}", **content}


def test_a_version_that_is_held_costs_one_call() -> None:
    client = Client(AWSCURRENT=version(2), AWSPREVIOUS=version(1))
    reader = reader_of(client)
    first = reader.read({ONE: None})[ONE]
    assert first == Held(Value("text-2"), Value("text-1"), "v2")
    assert client.calls == ["AWSCURRENT", "AWSPREVIOUS"]
    assert isinstance(first, Held)
    assert reader.read({ONE: first})[ONE] is first
    assert client.calls == ["AWSCURRENT", "AWSPREVIOUS", "AWSCURRENT"]
    client.stages["AWSCURRENT"] = version(3)
    assert reader.read({ONE: first})[ONE] == Held(Value("text-3"), Value("text-1"), "v3")


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_there_need_be_no_previous_version(code: str) -> None:
    client = Client(AWSCURRENT=version(2), AWSPREVIOUS=refusal(code))
    assert reader_of(client).read({ONE: None})[ONE] == Held(Value("text-2"), None, "v2")


def test_a_previous_version_with_the_same_text_is_none() -> None:
    client = Client(AWSCURRENT=version(2), AWSPREVIOUS=version(1, SecretString="text-2"))
    assert reader_of(client).read({ONE: None})[ONE] == Held(Value("text-2"), None, "v2")


def test_a_previous_version_that_cannot_be_read_just_now_is_not_left_out() -> None:
    client = Client(AWSCURRENT=version(2), AWSPREVIOUS=refusal("ThrottlingException"))
    state = reader_of(client).read({ONE: None})[ONE]
    assert isinstance(state, Unread)
    assert state.reason == "throttled"


def test_binary_secrets_are_text_if_they_can_be() -> None:
    client = Client(AWSCURRENT={"VersionId": "v1", "SecretBinary": b"abc"})
    assert reader_of(client).read({ONE: None})[ONE] == Held(Value("abc"), None, "v1")
    client.stages["AWSCURRENT"] = {"VersionId": "v1", "SecretBinary": b"\xff\xfe"}
    state = reader_of(client).read({ONE: None})[ONE]
    assert isinstance(state, Unread)
    assert (state.reason, state.passing) == ("invalid", False)


def test_what_fails_for_all_is_waited_for_once() -> None:
    client = Client(AWSCURRENT=errors.ConnectTimeoutError(endpoint_url="x"))
    found = reader_of(client).read({ONE: None, TWO: None})
    assert [state.reason for state in found.values() if isinstance(state, Unread)] == ["timeout", "timeout"]
    assert client.calls == ["AWSCURRENT"]
    # What concerns one secret says nothing of the next one.
    client = Client(AWSCURRENT=refusal("ResourceNotFoundException"))
    reader_of(client).read({ONE: None, TWO: None})
    assert client.calls == ["AWSCURRENT", "AWSCURRENT"]


def test_a_client_that_was_refused_is_made_anew() -> None:
    reader = reader_of(Client(AWSCURRENT=refusal("ExpiredTokenException")))
    reader.read({ONE: None})
    assert reader._clients == {}
    reader = reader_of(Client(AWSCURRENT=refusal("ThrottlingException")))
    reader.read({ONE: None})
    assert reader._clients != {}


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".", maxsplit=1)[0] in ("boto3", "botocore"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    state = Reader().read({ONE: None})[ONE]
    assert state == Unread("extra", "reading it takes boto3", passing=False)


# ---------------------------------------------------------------------------------------------------- with real AWS


@pytest.fixture
def _environment(secrets_manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in secrets_manager.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def _loud() -> Iterator[None]:
    """boto3's loggers as they are before anybody has silenced them."""
    for name in ("boto3", "botocore", "s3transfer", "urllib3"):
        library = logging.getLogger(name)
        library.setLevel(logging.NOTSET)
        library.propagate, library.handlers = True, []
    yield
    log.silence("boto3", "botocore", "s3transfer", "urllib3")


@pytest.mark.usefixtures("_environment")
def test_a_real_secret_and_its_rotation(secrets_manager: Manager) -> None:
    name = secrets_manager.create(json.dumps({"client_secret": "one"}))
    ref, reader = SecretRef(name, REGION), Reader()
    first = reader.read({ref: None})[ref]
    assert isinstance(first, Held)
    assert (first.current.reveal(), first.previous) == ('{"client_secret": "one"}', None)
    assert reader.read({ref: first})[ref] is first
    secrets_manager.put(name, "two")
    second = reader.read({ref: first})[ref]
    assert isinstance(second, Held)
    assert second.previous is not None
    assert (second.current.reveal(), second.previous.reveal()) == ("two", '{"client_secret": "one"}')


@pytest.mark.usefixtures("_environment")
def test_by_its_arn_and_one_that_is_not_there(secrets_manager: Manager) -> None:
    arn = SecretRef(secrets_manager.arn(secrets_manager.create("x")), REGION)
    missing = SecretRef("not/there", REGION)
    found = Reader().read({missing: None, arn: None})
    assert isinstance(found[arn], Held)
    assert isinstance(state := found[missing], Unread)
    assert state.reason == "not_found"


@pytest.mark.usefixtures("_environment")
def test_no_call_of_aws_is_waited_for_long(secrets_manager: Manager) -> None:
    reader = Reader()
    name = SecretRef(secrets_manager.create("x"), REGION)
    reader.read({name: None})
    # STS is asked by boto3 itself, where a web identity is to become credentials (IRSA).
    for client in (reader._clients[REGION], reader._session.client("sts", region_name=REGION)):
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (5, 5)
        assert config.retries["total_max_attempts"] == 2


@pytest.mark.usefixtures("_environment")
def test_without_a_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    state = Reader().read({ONE: None})[ONE]
    assert isinstance(state, Unread)
    assert (state.reason, state.passing) == ("no_region", False)


@pytest.mark.usefixtures("_environment", "_loud")
def test_what_boto3_would_log_is_not_logged(
    secrets_manager: Manager, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    ref = SecretRef(secrets_manager.create(SECRET), REGION)
    assert "botocore" in caplog.text, "the test listens where boto3 speaks"
    caplog.clear()
    assert isinstance(Reader().read({ref: None})[ref], Held)
    logging.getLogger("botocore.parsers").critical(SECRET)
    assert caplog.text == ""
    assert SECRET not in "".join(capfd.readouterr())


# ------------------------------------------------------------------------------------------------------ on the way


async def test_tls_is_verified_and_its_keys_are_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    body = json.dumps({"VersionId": "v1", "SecretString": SECRET}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        known = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        await reader.readexactly(int(known[b"content-length"]))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=authority.server_context("localhost"))
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.sockets[0].getsockname()[1]}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    ref = SecretRef("orders", REGION)
    try:
        stranger = (await asyncio.to_thread(Reader().read, {ref: None}))[ref]
        monkeypatch.setenv("AWS_CA_BUNDLE", authority.ca_file)
        monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
        known = (await asyncio.to_thread(Reader().read, {ref: None}))[ref]
    finally:
        server.close()
    assert isinstance(stranger, Unread)
    assert stranger.reason == "tls"
    assert isinstance(known, Held)
    assert known.current.reveal() == SECRET
    assert not keys.exists()
