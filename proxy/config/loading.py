"""From a file, or from a command's flags, to a configuration that may be served, or to every problem in it.

This is the only way in which a `Config` comes about. Nothing is started, resolved or connected here.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from proxy.config.checks import check, peers_in_force
from proxy.config.egress import of_environment
from proxy.config.model import Address, Config, Egress, Loaded, Upstream
from proxy.config.scalars import InvalidError
from proxy.config.secrets import Secrets, SecretsNeeded
from proxy.config.values import Sources, read_bytes
from proxy.config.walk import BROKEN, Unusable, Walk
from proxy.errors import ConfigError, SecretsUnavailable
from proxy.socketfile import Access

SECRET = "COGNITO_SIDECAR_CLIENT_SECRET"  # noqa: S105 - the name of a variable
"""Where `run` takes the secret from when there is no file: a flag would show it in the list of processes."""

DEFAULT_LISTEN = "127.0.0.1:8080"

_FLAGS = {
    "upstreams.default.url": "--upstream",
    "upstreams.default.listen": "--listen",
    "upstreams.default.auth.token_url": "--token-url",
    "upstreams.default.auth.client_id": "--client-id",
    "upstreams.default.auth.client_secret": SECRET,
    "admin.listen": "--admin",
    "allow_remote_clients": "allow_remote_clients in a configuration file",
    "upstreams.default.allow_insecure": "allow_insecure in a configuration file",
    "upstreams.default.egress_proxy": "egress proxy",
}


NO_SECRETS: Secrets = MappingProxyType({})


class Part(NamedTuple):
    """A configuration whose text is right. It is for looking at: a sidecar serves none that lacks a value."""

    config: Config
    """BROKEN in the places of the values that cannot be used; of mappings they are left out."""
    unusable: tuple[Unusable, ...]

    def lacks(self, prefix: str) -> list[Unusable]:
        """Those whose paths begin like this, by what comes after it."""
        below = (lack for lack in self.unusable if lack.path.startswith(prefix))
        return [lack._replace(path=lack.path.removeprefix(prefix)) for lack in below]


def load(path: str, *, environ: Mapping[str, str], secrets: Secrets = NO_SECRETS) -> Loaded:
    """Read and check the configuration file at `path`, and all values that it takes from elsewhere.

    `secrets` is what Secrets Manager is known to hold. Where more of it is needed, and there is no other problem, this
    raises SecretsNeeded: read those, and load again. Raises ConfigError with all problems, one line each; its `files`
    are what to watch for a change for the better. SecretsUnavailable, one kind of it, is raised where nothing is wrong
    but that secrets cannot be read just now.
    """
    return _loaded(*_file(path, environ, secrets), _as_written, environ)


def load_in_part(path: str, *, environ: Mapping[str, str], secrets: Secrets = NO_SECRETS) -> Part:
    """The same where values that come from elsewhere may be lacking: they are told beside what is there.

    Raises ConfigError with all problems if any is of another kind, and SecretsNeeded.
    """
    raw, sources = _file(path, environ, secrets)
    config, walk = _walked(raw, sources, _as_written, environ, in_part=True)
    return Part(config, tuple(walk.unusable))


def _file(path: str, environ: Mapping[str, str], secrets: Secrets) -> tuple[dict[Any, Any], Sources]:
    try:
        here = os.path.abspath(path)
    except OSError:
        raise ConfigError([f"{path}: cannot be read: the working directory is gone"]) from None
    sources = Sources(environ, os.path.dirname(here), secrets)
    sources.file(here)
    try:
        content = read_bytes(here)
        sources.note(content)
        raw = _parse(content)
    except InvalidError as error:
        raise ConfigError([f"{path}: {error}"], sources.files) from None
    return raw, sources


def _as_written(path: str) -> str:
    return path


def _parse(content: bytes) -> dict[Any, Any]:
    # Not at the top: `run` without a file, and everything that only reads the model, have no use for YAML.
    from proxy.config.yamlfile import parse  # noqa: PLC0415

    raw = parse(content)
    if raw is None:
        raise InvalidError("the file is empty")
    if not isinstance(raw, dict):
        raise InvalidError("expected a mapping with the key upstreams at the top of the file")
    return raw


def from_flags(
    upstream: str | None,
    token_url: str | None,
    client_id: str | None,
    scopes: Sequence[str] = (),
    listen: str | None = None,
    admin: str | None = None,
    *,
    environ: Mapping[str, str],
) -> Loaded:
    """The configuration of one upstream, called `default`, without a file. Raises ConfigError that names the flags."""
    auth = {
        "token_url": token_url,
        "client_id": client_id,
        "client_secret": {"env": SECRET},
        "scopes": list(scopes),
    }
    raw: dict[str, Any] = {
        "upstreams": {
            "default": {
                "listen": DEFAULT_LISTEN if listen is None else listen,
                "url": upstream,
                "auth": {key: value for key, value in auth.items() if value is not None},
            }
        }
    }
    if upstream is None:
        del raw["upstreams"]["default"]["url"]
    if admin is not None:
        raw["admin"] = {"listen": admin}
    sources = Sources(environ, "/", NO_SECRETS)
    sources.note(repr(raw).encode("utf-8", "surrogatepass"))
    return _loaded(raw, sources, _flag, environ)


def _flag(path: str) -> str:
    return "--scope" if path.startswith("upstreams.default.auth.scopes") else _FLAGS.get(path, path)


def _loaded(raw: dict[Any, Any], sources: Sources, name: Callable[[str], str], environ: Mapping[str, str]) -> Loaded:
    config, _ = _walked(raw, sources, name, environ)
    _note_certificates(config, sources)
    return Loaded(config, sources.hash, sources.files, sources.variables, sources.secrets)


def _walked(
    raw: dict[Any, Any],
    sources: Sources,
    name: Callable[[str], str],
    environ: Mapping[str, str],
    *,
    in_part: bool = False,
) -> tuple[Config, Walk]:
    """What was read, checked, with what holds for several upstreams put into each."""
    walk = Walk(sources, name)
    config = walk.config(raw)
    check(config, walk.say, name)
    egress = _environments_proxies(config, environ, walk)
    if len(walk.problems) > (len(walk.unusable) if in_part else 0):
        kind = SecretsUnavailable if walk.passing == len(walk.problems) else ConfigError
        raise kind(walk.problems, sources.files)
    if sources.missing:
        raise SecretsNeeded(sources.missing, config)
    return _with_proxies(_with_peers(_with_access(config)), egress, sources), walk


def _with_access(config: Config) -> Config:
    """Let upstreams that share a unix socket agree on who may connect: what one of them says holds for all."""
    said: dict[Address, Access] = {}
    sockets = {key: upstream.listen for key, upstream in config.upstreams.items() if upstream.listen.unix}
    for listen in sockets.values():
        said[listen] = Access(*map(_first, listen.access, said.get(listen, Access())))
    changed = {
        key: msgspec.structs.replace(config.upstreams[key], listen=dataclasses.replace(listen, access=said[listen]))
        for key, listen in sockets.items()
    }
    return msgspec.structs.replace(config, upstreams=config.upstreams | changed) if changed else config


def _with_peers(config: Config) -> Config:
    """Put in each upstream's place who may use it."""
    upstreams = {
        key: msgspec.structs.replace(upstream, allow_peers=peers_in_force(config, upstream))
        for key, upstream in config.upstreams.items()
    }
    return msgspec.structs.replace(config, upstreams=upstreams)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _environments_proxies(config: Config, environ: Mapping[str, str], walk: Walk) -> dict[str, Egress]:
    """By upstream, what the environment says for those that say nothing themselves. One bad variable, one problem."""
    found: dict[str, Egress] = {}
    said = set()
    for key, upstream in config.upstreams.items():
        if upstream.egress_proxy is not None or BROKEN in (upstream.url, upstream.auth.token_url):
            continue
        try:
            found[key] = of_environment(upstream, environ)
        except InvalidError as error:
            if str(error) not in said:
                walk.say(f"upstreams.{key}.egress_proxy", str(error))
            said.add(str(error))
    return found


def _with_proxies(config: Config, found: Mapping[str, Egress], sources: Sources) -> Config:
    """Put the environment's proxies in their places. Where there are none, all stays as it is."""
    used = {key: egress for key, egress in found.items() if any(egress)}
    if not used:
        return config
    for proxy in (proxy for egress in used.values() for proxy in egress):
        secret = proxy.authorization.reveal() if proxy and proxy.authorization else ""
        sources.note(f"{proxy and proxy.scheme} {proxy} {secret}".encode())
    changed = {key: msgspec.structs.replace(config.upstreams[key], egress_proxy=egress) for key, egress in used.items()}
    return msgspec.structs.replace(config, upstreams=config.upstreams | changed)


def _note_certificates(config: Config, sources: Sources) -> None:
    """Count certificate files into the hash: a renewed certificate is another configuration."""
    for path in (path for upstream in config.upstreams.values() for path in certificate_files(upstream)):
        try:
            sources.note(read_bytes(path))
        except InvalidError:  # OpenSSL could read it, so it is very large, or was taken away just now
            sources.note(b"")


def certificate_files(upstream: Upstream) -> tuple[str, ...]:
    """The TLS files that an upstream and its token endpoint use, by absolute path."""
    both = (upstream.tls, upstream.auth.tls)
    return tuple(path for tls in both for path in (tls.ca_file, tls.cert_file, tls.key_file) if path)
