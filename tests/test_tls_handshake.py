"""What `proxy.tls` promises, proved by handshakes in memory: who is trusted, under which name, and who is shown."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from proxy.config.model import Tls
from proxy.tls import client_context
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def _trusting(authority: Authority, **more: str) -> ssl.SSLContext:
    return client_context(Tls(ca_file=authority.ca_file, **more), replace_trust=True)


def _server(authority: Authority, *names: str, client_ca: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(*names))
    context.set_alpn_protocols(["h2", "http/1.1"])
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


def _connect(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a connection in memory, after the handshake and one byte. Raises what either end does."""
    upward, downward = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(downward, upward, server_hostname=name)
    far = server.wrap_bio(upward, downward, server_side=True)
    unfinished = {near, far}
    for _ in range(8):
        for end in tuple(unfinished):
            try:
                end.do_handshake()
                unfinished.discard(end)
            except ssl.SSLWantReadError:
                pass
    assert not unfinished
    near.write(b"1")  # With TLS 1.3 the server judges the client's certificate after the client's handshake.
    assert far.read() == b"1"
    return near, far


def test_a_private_authority_is_trusted_and_http_1_1_is_spoken(authority: Authority) -> None:
    near, _ = _connect(_trusting(authority), _server(authority, "api.test"), "api.test")

    assert near.version() == "TLSv1.3"
    assert near.selected_alpn_protocol() == "http/1.1"


def test_tls_1_2_will_do(authority: Authority) -> None:
    server = _server(authority, "api.test")
    server.maximum_version = ssl.TLSVersion.TLSv1_2

    assert _connect(_trusting(authority), server, "api.test")[0].version() == "TLSv1.2"


def test_a_servers_own_certificate_may_be_the_trusted_file(authority: Authority, tmp_path: Path) -> None:
    server = _server(authority, "api.test")
    context = client_context(Tls(ca_file=str(tmp_path / "api.test.pem")), replace_trust=True)

    _connect(context, server, "api.test")


def test_another_authority_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")

    with pytest.raises(ssl.SSLCertVerificationError):
        _connect(_trusting(authority), _server(other, "api.test"), "api.test")


def test_an_extra_authority_is_trusted_as_well(authority: Authority, tmp_path: Path) -> None:
    extra = Authority(tmp_path, "extra")
    context = client_context(Tls(ca_file=authority.ca_file), replace_trust=True, extra_ca_file=extra.ca_file)

    for signer in (authority, extra):
        _connect(context, _server(signer, "api.test"), "api.test")


@pytest.mark.parametrize(
    ("names", "asked", "good"),
    [
        (("api.test", "www.test"), "www.test", True),
        (("*.api.test",), "www.api.test", True),
        (("127.0.0.1",), "127.0.0.1", True),
        (("elsewhere.test",), "api.test", False),
        (("api.test",), "127.0.0.1", False),
        (("*.api.test",), "deep.www.api.test", False),
    ],
)
def test_the_name_is_verified(names: tuple[str, ...], asked: str, good: bool, authority: Authority) -> None:
    server = _server(authority, *names)
    if good:
        _connect(_trusting(authority), server, asked)
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
            _connect(_trusting(authority), server, asked)


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("api.test", days=1))

    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        _connect(_trusting(authority), server, "api.test")


def test_a_client_certificate_is_shown_where_there_is_one(authority: Authority) -> None:
    server = _server(authority, "api.test", client_ca=authority.ca_file)
    own = authority.issue("caller")

    _, far = _connect(_trusting(authority, cert_file=own.cert, key_file=own.key), server, "api.test")

    shown = far.getpeercert()
    assert shown is not None
    assert shown["subject"] == ((("commonName", "caller"),),)
    with pytest.raises(ssl.SSLError):
        _connect(_trusting(authority), server, "api.test")
