"""Go's ReverseProxy with x/oauth2: `main.go`, built once with what the system has, without modules or network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench.contenders.contender import TOOLS, Contender
from bench.processes import output_of
from bench.site import CLIENT_ID, CLIENT_SECRET, LISTEN, Site

_SOURCE = Path(__file__).with_name("main.go")
_PROGRAM = TOOLS / "reverseproxy"
_GOPATH = "/usr/share/gocode"
"""Where Debian puts the sources of Go libraries."""
_OAUTH2 = "golang-golang-x-oauth2-dev"


def _version() -> str:
    go = shutil.which("go")
    if go is None or not Path(_GOPATH, "src/golang.org/x/oauth2").is_dir():
        return ""
    if not _PROGRAM.exists() or _PROGRAM.stat().st_mtime < _SOURCE.stat().st_mtime:
        TOOLS.mkdir(exist_ok=True)
        cache = str(TOOLS / "go-cache")
        env = {**os.environ, "GO111MODULE": "off", "GOPATH": _GOPATH, "GOCACHE": cache, "GOFLAGS": ""}
        subprocess.run([go, "build", "-o", str(_PROGRAM), str(_SOURCE)], env=env, check=True)
    oauth2 = output_of("dpkg-query", "-W", "-f", "${Version}", _OAUTH2) or "of an unknown version"
    return f"{output_of(go, 'env', 'GOVERSION').replace('go', 'Go ')}, x/oauth2 {oauth2}"


def _command(site: Site, directory: Path, port: int) -> list[str]:
    credentials = [CLIENT_ID, CLIENT_SECRET]
    return [str(_PROGRAM), f"{LISTEN}:{port}", site.url, site.token_url, *credentials, str(site.ca_file)]


GO = Contender("go", "Go ReverseProxy with x/oauth2", f"golang-go and {_OAUTH2}", _version, _command)
