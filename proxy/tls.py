"""TLS for outgoing connections: which certificates are trusted, and which one is shown.

Certificates and names are always verified and nothing older than TLS 1.2 is spoken; there is no switch for
either. This file must never ask for a passphrase: a sidecar has no terminal.
"""

from __future__ import annotations

import os
import ssl
from typing import Protocol

from proxy.errors import ConfigError


class TlsFiles(Protocol):
    """The `tls` mapping of the configuration, as `proxy.config.model.Tls` has it. All are optional."""

    @property
    def ca_file(self) -> str | None: ...
    @property
    def cert_file(self) -> str | None: ...
    @property
    def key_file(self) -> str | None: ...
    @property
    def server_name(self) -> str | None: ...


class TlsFileError(ConfigError):
    """A file of a `tls` mapping cannot be used. `key` names it: ca_file, cert_file or key_file."""

    def __init__(self, key: str, path: str, problem: str) -> None:
        self.key = key
        super().__init__([f"{key}: {path}: {problem}"])


def client_context(tls: TlsFiles, *, replace_trust: bool, extra_ca_file: str | None = None) -> ssl.SSLContext:
    """A context for connections to servers.

    `replace_trust`: where there is a `ca_file`, it is trusted instead of the system's authorities, not in
    addition to them; `extra_ca_file` is one more in addition. Raises TlsFileError.
    """
    # Not ssl.create_default_context: that one writes session keys to the file that SSLKEYLOGFILE names, and is
    # stricter in newer Pythons than OpenSSL itself, so that a private CA would work here and not there.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A server of TLS 1.2 could otherwise begin another handshake in the middle of a request.
    context.options |= ssl.OP_NO_RENEGOTIATION
    # A ca_file may hold the very certificate that a server shows, without its issuer.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["http/1.1"])
    if not (replace_trust and tls.ca_file):
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    for path in (tls.ca_file, extra_ca_file):
        if path:
            _trust(context, path)
    if tls.cert_file:
        _show(context, tls.cert_file, tls.key_file)
    return context


def client_problems(tls: TlsFiles) -> list[TlsFileError]:
    """What keeps `client_context` from using the files of `tls`: each that cannot be read, else how they fail."""
    problems = []
    for key, path in (("ca_file", tls.ca_file), ("cert_file", tls.cert_file), ("key_file", tls.key_file)):
        try:
            if path:
                _readable(key, path)
        except TlsFileError as error:
            problems.append(error)
    if not problems:
        try:
            client_context(tls, replace_trust=True)
        except TlsFileError as error:
            problems.append(error)
    return problems


def server_hostname(tls: TlsFiles, host: str) -> str:
    """The name to ask for (SNI) and to verify: `server_name`, or the URL's host without the root's dot."""
    return tls.server_name or host.rstrip(".")


def tls_failed(error: ssl.SSLError) -> str:
    """In words; `reason` is OpenSSL's."""
    return f"TLS failed: {error.reason or 'the handshake was cut off'}"


def fingerprint(*paths: str | None) -> tuple[object, ...]:
    """Something that changes when one of the files does: a certificate renewed on disk asks for a new context."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: str | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _trust(context: ssl.SSLContext, path: str) -> None:
    _readable("ca_file", path)
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        raise TlsFileError("ca_file", path, "holds no PEM certificate that can be read") from error


def _show(context: ssl.SSLContext, cert_file: str, key_file: str | None) -> None:
    _readable("cert_file", cert_file)
    if key_file:
        _readable("key_file", key_file)
    try:
        # OpenSSL would ask the terminal for the passphrase of an encrypted key; the empty one fails at once.
        context.load_cert_chain(cert_file, key_file, password=lambda: b"")
    except (OSError, ValueError) as error:
        where = f"with the key of {key_file}" if key_file else "with a key in the same file"
        problem = f"is not a PEM certificate that can be used {where} (an encrypted key cannot)"
        raise TlsFileError("cert_file", cert_file, problem) from error


def _readable(key: str, path: str) -> None:
    """Say which file cannot be read and why: OpenSSL's own errors name neither."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise TlsFileError(key, path, (error.strerror or type(error).__name__).lower()) from error
