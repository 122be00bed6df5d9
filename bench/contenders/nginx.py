"""nginx twice: with a token that is written into its configuration, which is the limit, and with Lua that keeps one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bench.contenders.contender import Contender
from bench.processes import output_of
from bench.site import LISTEN, TOKEN, Site, basic

_LUA_MODULES = ("ndk_http_module.so", "ngx_http_lua_module.so")

_CONFIG = """\
{modules}
worker_processes 1;
daemon off;
master_process off;
pid {directory}/pid;
error_log stderr error;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    upstream api {{
        server {listen}:{api_port};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen}:{port} backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host localhost:{api_port};
        proxy_ssl_name localhost;
        proxy_ssl_server_name on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {ca_file};
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        {token}
    }}
}}
"""

_FIXED = """
        proxy_set_header Authorization "Bearer {token}";
        location / {{ proxy_pass https://api; }}
"""

# One worker, so a table of the worker's own keeps the token. A fetch is a subrequest: the event loop goes on.
_LUA = """
        location = /_token {{
            internal;
            proxy_method POST;
            proxy_set_header Authorization "{basic}";
            proxy_set_header Content-Type application/x-www-form-urlencoded;
            proxy_set_header Host $proxy_host;
            proxy_set_body "grant_type=client_credentials";
            proxy_pass {token_url};
        }}
        location / {{
            access_by_lua_block {{
                local kept = package.loaded.kept_token or {{ renew_at = 0 }}
                package.loaded.kept_token = kept
                if ngx.now() >= kept.renew_at then
                    ngx.req.read_body()
                    local answer = ngx.location.capture("/_token", {{ method = ngx.HTTP_POST, body = "" }})
                    local grant = answer.status == 200 and require("cjson.safe").decode(answer.body)
                    if not grant then return ngx.exit(503) end
                    kept.line = "Bearer " .. grant.access_token
                    kept.renew_at = ngx.now() + grant.expires_in * 0.75
                end
                ngx.req.set_header("Authorization", kept.line)
            }}
            proxy_pass https://api;
        }}
"""


def _nginx_version() -> str:
    return output_of("nginx", "-v").rpartition("/")[2]


def _lua_version() -> str:
    folder = _modules()
    cjson = any(Path("/usr").glob("lib/*/lua/5.1/cjson.so"))
    if folder is None or not cjson or not all((folder / one).exists() for one in _LUA_MODULES):
        return ""
    lua = output_of("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-http-lua") or "of an unknown version"
    return f"{_nginx_version()}, Lua module {lua}"


def _modules() -> Path | None:
    """Where nginx has its loadable modules."""
    found = re.search(r"--modules-path=(\S+)", output_of("nginx", "-V"))
    return Path(found[1]) if found else None


def _fixed_command(site: Site, directory: Path, port: int) -> list[str]:
    return _start(site, directory, port, _FIXED.format(token=TOKEN), "")


def _lua_command(site: Site, directory: Path, port: int) -> list[str]:
    modules = "".join(f"load_module {_modules()}/{one};\n" for one in _LUA_MODULES)
    return _start(site, directory, port, _LUA.format(basic=basic(), token_url=site.token_url), modules)


def _start(site: Site, directory: Path, port: int, token: str, modules: str) -> list[str]:
    config = directory / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            modules=modules,
            directory=directory,
            listen=LISTEN,
            port=port,
            api_port=site.api_port,
            ca_file=site.ca_file,
            token=token,
        )
    )
    program = shutil.which("nginx") or "nginx"
    return [program, "-c", str(config), "-p", str(directory), "-e", "stderr"]


FIXED = Contender("nginx", "nginx with a fixed header", "nginx", _nginx_version, _fixed_command)
LUA = Contender("lua", "nginx with Lua", "nginx, libnginx-mod-http-lua and lua-cjson", _lua_version, _lua_command)
