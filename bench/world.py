"""What is around a contender: certificate, token endpoint, upstreams. One block starts all of it and ends it.

Small answers come from nginx where it is installed, since it is fast enough to share a core with the callers;
otherwise from Python, and then the callers wait more for it than for the contender.
"""

from __future__ import annotations

import http.client
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.certificate import Certificate, make_certificate
from bench.processes import free_port, output_of, running, wait_until
from bench.site import LARGE_BYTES, LISTEN, SMALL, TOKEN, Site

# TLS 1.3 with one cipher for all, or contenders would differ by what their library likes best. Python cannot set it
# before 3.15, OpenSSL's own configuration can.
_CIPHER = "TLS_AES_128_GCM_SHA256"
_OPENSSL = f"""\
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
Ciphersuites = {_CIPHER}
"""

# A POST is answered after its body has been read: `mirror` reads it, the file refuses the method, the error page is
# the answer. `return` alone would answer while the body is still on its way.
_NGINX = """\
worker_processes 1;
daemon off;
master_process off;
pid {directory}/upstream.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
    client_header_buffer_size 8k;
    client_body_buffer_size 64k;
    client_body_temp_path {directory}/upstream-body;
    open_file_cache max=10;
    server {{
        listen {listen}:{port} ssl backlog=4096;
        ssl_certificate {certificate.cert_file};
        ssl_certificate_key {certificate.key_file};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites {cipher};
        ssl_session_cache shared:sessions:4m;
        root {directory}/files;
        if ($http_authorization != "Bearer {token}") {{ return 401; }}
        location / {{ return 200 '{small}'; }}
        location = /10k {{ }}
        location = /post {{ mirror /nothing; error_page 405 =200 @taken; }}
        location = /nothing {{ internal; return 204; }}
        location @taken {{ return 200 '{small}'; }}
    }}
    server {{
        listen {listen}:{status_port};
        location = /requests {{ stub_status; }}
    }}
}}
"""


class Counts(NamedTuple):
    """What an upstream has seen so far, whoever came to ask for these numbers included."""

    requests: int
    connections: int


class World(NamedTuple):
    """What is there while a contender is measured."""

    api: Site
    streams: Site
    counts: Callable[[], Counts]
    """Of the upstream of small answers."""
    upstream: str
    """What that upstream is, with its version."""


@contextmanager
def world(directory: Path) -> Iterator[World]:
    """Start everything in and around `directory`. Raises DidNotStart."""
    certificate = make_certificate(directory)
    openssl = directory / "openssl.cnf"
    openssl.write_text(_OPENSSL)
    command = [sys.executable, "-m", "bench.upstream", str(certificate.cert_file), str(certificate.key_file)]
    log = directory / "upstream.log"
    with ExitStack() as stack:
        process = stack.enter_context(running(command, log, {"OPENSSL_CONF": str(openssl)}))
        wait_until(lambda: log.read_bytes().endswith(b"}\n"), process, log)
        ports = json.loads(log.read_text())
        streams = Site(ports["streams"], ports["token"], certificate.ca_file)
        nginx = shutil.which("nginx")
        if nginx is None:
            api = streams._replace(api_port=ports["api"])
            yield World(
                api, streams, lambda: Counts(*json.loads(_get(ports["token"]))), f"Python {sys.version.split()[0]}"
            )
            return
        port, status_port = free_port(), free_port()
        config = _write_nginx(directory, certificate, port, status_port)
        log = directory / "upstream-nginx.log"
        process = stack.enter_context(running([nginx, "-c", str(config), "-p", str(directory), "-e", "stderr"], log))
        wait_until(lambda: _listens(status_port), process, log)
        version = output_of(nginx, "-v").rpartition("/")[2]
        yield World(
            streams._replace(api_port=port), streams, lambda: nginx_counts(_get(status_port)), f"nginx {version}"
        )


def _write_nginx(directory: Path, certificate: Certificate, port: int, status_port: int) -> Path:
    files = directory / "files"
    files.mkdir()
    (files / "10k").write_bytes(b"x" * LARGE_BYTES)
    (files / "post").write_bytes(SMALL)
    config = directory / "upstream.conf"
    config.write_text(
        _NGINX.format(
            directory=directory,
            listen=LISTEN,
            port=port,
            status_port=status_port,
            certificate=certificate,
            cipher=_CIPHER,
            token=TOKEN,
            small=SMALL.decode().strip() + "\\n",
        )
    )
    return config


def nginx_counts(status: str) -> Counts:
    """From stub_status: its third line has the connections that were accepted, those handled, and the requests."""
    accepted, _, requests = status.splitlines()[2].split()
    return Counts(int(requests), int(accepted))


def _get(port: int) -> str:
    connection = http.client.HTTPConnection(LISTEN, port, timeout=10)
    try:
        connection.request("GET", "/requests")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _listens(port: int) -> bool:
    try:
        _get(port)
    except OSError:
        return False
    return True
