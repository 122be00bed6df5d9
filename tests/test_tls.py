"""Which certificates are trusted and shown, and which file is named when one cannot be used."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from proxy.config.model import Tls
from proxy.errors import ConfigError
from proxy.tls import TlsFileError, client_context, fingerprint, server_hostname
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def trusted(context: ssl.SSLContext) -> set[str]:
    """The common names of the authorities that a context trusts."""
    found = [x509.load_der_x509_certificate(one) for one in context.get_ca_certs(binary_form=True)]
    return {one.subject.rfc4514_string().removeprefix("CN=") for one in found}


def test_everything_is_verified() -> None:
    context = client_context(Tls(), replace_trust=True)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_a_ca_file_replaces_the_systems_authorities_or_joins_them(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Authority(tmp_path, "system")
    monkeypatch.setenv("SSL_CERT_FILE", system.ca_file)
    tls = Tls(ca_file=authority.ca_file)
    assert trusted(client_context(Tls(), replace_trust=True)) == {"system"}
    assert trusted(client_context(tls, replace_trust=True)) == {"authority"}
    assert trusted(client_context(tls, replace_trust=False)) == {"system", "authority"}
    extra = client_context(Tls(), replace_trust=False, extra_ca_file=authority.ca_file)
    assert trusted(extra) == {"system", "authority"}


def test_session_keys_are_written_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert client_context(Tls(), replace_trust=False).keylog_filename is None


def test_a_certificate_with_its_key(authority: Authority, tmp_path: Path) -> None:
    files = authority.issue("client")
    client_context(Tls(cert_file=files.cert, key_file=files.key), replace_trust=False)
    both = tmp_path / "both.pem"
    both.write_bytes(Path(files.key).read_bytes() + Path(files.cert).read_bytes())
    client_context(Tls(cert_file=str(both)), replace_trust=False)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"ca_file": "missing"}, "ca_file: missing: no such file or directory"),
        ({"ca_file": "."}, "ca_file: .: is a directory"),
        ({"ca_file": "text"}, "ca_file: text: holds no PEM certificate that can be read"),
        ({"cert_file": "missing"}, "cert_file: missing: no such file or directory"),
        ({"cert_file": "client.pem", "key_file": "missing"}, "key_file: missing: no such file or directory"),
        ({"cert_file": "text", "key_file": "client.key"}, "cert_file: text: is not a PEM certificate"),
        ({"cert_file": "client.pem", "key_file": "locked.key"}, "cert_file: client.pem: is not a PEM certificate"),
        ({"cert_file": "client.pem", "key_file": "other.key"}, "cert_file: client.pem: is not a PEM certificate"),
        ({"cert_file": "client.pem"}, "cert_file: client.pem: is not a PEM certificate"),
    ],
)
def test_the_file_that_cannot_be_used_is_named(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], problem: str
) -> None:
    authority.issue("client")
    authority.issue("other")
    authority.issue("locked", passphrase=b"passphrase")
    (tmp_path / "text").write_text("no certificate")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TlsFileError) as caught:
        client_context(Tls(**keys), replace_trust=False)
    assert isinstance(caught.value, ConfigError)
    assert str(caught.value).startswith(problem)
    assert caught.value.key == problem.partition(":")[0]


def test_the_name_that_is_asked_for() -> None:
    assert server_hostname(Tls(), "idp.example") == "idp.example"
    assert server_hostname(Tls(), "idp.example.") == "idp.example"
    assert server_hostname(Tls(server_name="other.example"), "idp.example") == "other.example"


def test_a_fingerprint_changes_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "cert"
    paths = (str(file), None)
    missing = fingerprint(*paths)
    file.write_text("one")
    first = fingerprint(*paths)
    assert fingerprint(*paths) == first
    file.write_text("another")
    assert len({missing, first, fingerprint(*paths)}) == 3
