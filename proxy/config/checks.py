"""What no key says alone: clashes, and keys that need or exclude each other. Pure, but for opening the TLS files.

The configuration may be one that was read in part (see `proxy.config.walk`): whatever is BROKEN there has
had its own problem, is false, and must not cause another one here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec

from proxy.config.model import Address, Config, Headers, Peers, Tls, TokenCache, Upstream, Url
from proxy.config.walk import BROKEN

Say = Callable[[str, str], None]
"""Takes the path of a key and what is wrong with it."""
Name = Callable[[str], str]
"""What a person calls the key at a path."""

LEAST_REFRESH = 10
"""Seconds. Secrets Manager is paid for each call, and no secret is read more often than this (`proxy.aws`)."""
_FRAMING = frozenset(("host", "content-length", "transfer-encoding"))
_HOP = frozenset(("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"))
"""RFC 9110 §7.6.1, and Expect (§10.1.1): they speak of one connection, which the sidecar frames itself."""
_PROXY = frozenset(("proxy-authenticate", "proxy-authorization"))
REDIS_EXTRA = "pip install 'cognito-sidecar[redis]'"
_OAUTH = ("grant_type", "scope", "client_id", "client_secret")
_WILDCARDS = ("0.0.0.0", "::")
_SEVERAL = ("localhost", *_WILDCARDS)
"""Hosts that stand for more than one address."""


def check(config: Config, say: Say, name: Name) -> None:
    """Say every problem that shows between keys."""
    refresh = config.secrets_manager.refresh
    if refresh is not BROKEN and 0 < refresh < LEAST_REFRESH:
        say("secrets_manager.refresh", f"expected at least {LEAST_REFRESH}s, or 0s for never")
    for key, upstream in config.upstreams.items():
        _check_upstream(f"upstreams.{key}", upstream, say, name)
    _check_token_cache(config.token_cache, say)
    _check_listeners(config, say, name)
    _check_peers(config, say, name)
    if config.require_header and _lower(config.require_header.name) in _FRAMING | _HOP:
        say("require_header.name", "this header belongs to the connection: callers cannot use it for a key")
    _check_shared(config, say, name)


def _check_upstream(path: str, upstream: Upstream, say: Say, name: Name) -> None:
    auth = upstream.auth
    for key, url in (("url", upstream.url), ("auth.token_url", auth.token_url)):
        if _is_exposed(url) and upstream.allow_insecure is False:
            say(
                f"{path}.{key}",
                "plain http to a host that is not loopback sends a credential in clear: "
                f"use https, or set {name(f'{path}.allow_insecure')} to true",
            )
    if _lower(auth.header) in _FRAMING | _HOP:
        say(f"{path}.auth.header", "this header belongs to the connection and cannot carry a token")
    _check_headers(f"{path}.headers", upstream.headers, _lower(auth.header), say)
    for param in auth.extra_params or ():
        if param in _OAUTH:
            say(f"{path}.auth.extra_params.{param}", "this form field is set by the keys of auth, not here")
    if BROKEN not in (auth.refresh_at, auth.refresh_jitter) and auth.refresh_jitter >= auth.refresh_at:
        say(f"{path}.auth.refresh_jitter", "expected less than refresh_at, or tokens are renewed without a pause")
    for key, tls in (("auth.tls", auth.tls), ("tls", upstream.tls)):
        if tls is not BROKEN:
            _check_tls(f"{path}.{key}", tls, say)


def _is_exposed(url: Url) -> bool:
    return url.scheme == "http" and not url.is_loopback


def _lower(text: str) -> str:
    return "" if text is BROKEN else text.lower()


def _check_headers(path: str, headers: Headers, auth_header: str, say: Say) -> None:
    seen: set[str] = set()
    for header in headers.set or ():
        lower = header.lower()
        if lower in _FRAMING | _HOP | _PROXY:
            say(f"{path}.set.{header}", "this header belongs to the connection and cannot be set")
        elif lower == auth_header:
            say(f"{path}.set.{header}", "this header carries the token (auth.header) and cannot be set")
        elif lower in seen:
            say(f"{path}.set.{header}", "this header is set twice (names of headers know no case)")
        seen.add(lower)
    for index, header in enumerate(headers.remove):
        if _lower(header) in _FRAMING:
            say(f"{path}.remove[{index}]", "this header belongs to the connection and cannot be removed")


def _check_tls(path: str, tls: Tls, say: Say) -> None:
    """Say which certificate file cannot be used, now and not at the first connection."""
    if tls.key_file and tls.cert_file is None:
        say(f"{path}.key_file", "needs cert_file, the key's certificate")
    # One half at a time, so that a bad ca_file does not hide a bad cert_file.
    if tls.ca_file:
        _try_tls(path, Tls(ca_file=tls.ca_file), say)
    if tls.cert_file and tls.key_file is not BROKEN:
        _try_tls(path, Tls(cert_file=tls.cert_file, key_file=tls.key_file), say)


def _check_token_cache(cache: TokenCache | None, say: Say) -> None:
    if not cache:
        return
    files = Tls(ca_file=cache.ca_file, cert_file=cache.cert_file, key_file=cache.key_file)
    if files != Tls() and cache.url is not BROKEN and not cache.url.reveal().startswith("rediss"):
        say("token_cache.url", "certificate files need TLS: rediss:// instead of redis://")
    _check_tls("token_cache", files, say)
    if find_spec("redis") is None:
        say("token_cache", f"needs the extra `redis`: {REDIS_EXTRA}")


def _try_tls(path: str, tls: Tls, say: Say) -> None:
    from proxy.tls import client_problems  # noqa: PLC0415 - loads OpenSSL, for these few configurations

    for error in client_problems(tls):
        say(f"{path}.{error.key}", error.problems[0].partition(": ")[2])


def _listeners(config: Config) -> Iterator[tuple[str, Address]]:
    """Each listen address, once, by the path of the key where it comes first."""
    seen = set()
    for key, upstream in config.upstreams.items():
        if upstream.listen is not BROKEN and upstream.listen not in seen:
            seen.add(upstream.listen)
            yield f"upstreams.{key}.listen", upstream.listen


def _check_listeners(config: Config, say: Say, name: Name) -> None:
    data = list(_listeners(config))
    for key, upstream in config.upstreams.items():
        listen = upstream.listen
        if listen is not BROKEN and not listen.is_loopback and config.allow_remote_clients is False:
            say(
                f"upstreams.{key}.listen",
                f"{listen} is not loopback, and whoever reaches it can use the credential: "
                f"listen on 127.0.0.1, or set {name('allow_remote_clients')} to true",
            )
    _check_spellings(data, say, name)
    admin = config.admin.listen
    for path, listen in data:
        if _overlap(admin, listen) or (admin == listen and (listen.port or listen.unix)):
            say("admin.listen", f"{admin} is taken: {name(path)} is {listen}")


def _check_spellings(data: Iterable[tuple[str, Address]], say: Say, name: Name) -> None:
    """Say which listens, each with its path, are one address. Only those can be that which stand for several: so each
    is compared with the few of them that there are for its port, and not with every other."""
    earlier: dict[int, list[tuple[str, Address]]] = {}
    several: dict[int, list[tuple[str, Address]]] = {}
    for path, listen in data:
        stands_for_several = listen.host in _SEVERAL
        for other_path, other in (earlier if stands_for_several else several).get(listen.port, ()):
            if _overlap(other, listen):
                say(
                    path,
                    f"{listen} and {other} ({name(other_path)}) are one address in two spellings: use the same one",
                )
        earlier.setdefault(listen.port, []).append((path, listen))
        if stands_for_several:
            several.setdefault(listen.port, []).append((path, listen))


def _check_shared(config: Config, say: Say, name: Name) -> None:
    """Say where upstreams with the same listen have the same prefix as well, or disagree on who may connect to it."""
    places: dict[tuple[Address, str], str] = {}
    accesses: dict[tuple[Address, str], tuple[str, object]] = {}
    for key, upstream in config.upstreams.items():
        listen, prefix = upstream.listen, upstream.prefix
        if listen is BROKEN:
            continue
        for field, says in zip(listen.access._fields, listen.access, strict=True):
            if says in (None, BROKEN):
                continue
            first, said = accesses.setdefault((listen, field), (f"upstreams.{key}.listen.{field}", says))
            if said != says:
                say(f"upstreams.{key}.listen.{field}", f"{name(first)} says otherwise, and it is the same socket")
        if prefix is not BROKEN and (other := places.setdefault((listen, prefix), key)) != key:
            say(
                f"upstreams.{key}.prefix",
                f"upstreams {other} and {key} have the same listen {listen} and prefix {prefix}",
            )


def peers_in_force(config: Config, upstream: Upstream) -> Peers | None:
    """Who may use an upstream; None: everybody."""
    peers = config.allow_peers if upstream.allow_peers is None else upstream.allow_peers
    return peers if peers.uids or peers.gids else None


def _check_peers(config: Config, say: Say, name: Name) -> None:
    for key, upstream in config.upstreams.items():
        path, listen = f"upstreams.{key}.allow_peers", upstream.listen
        if peers_in_force(config, upstream) is None or listen is BROKEN:
            continue
        if not listen.unix:
            known = f"peers are known on unix sockets only, and {name(f'upstreams.{key}.listen')} is {listen}"
            or_else = "set this to {}, for everybody" if upstream.allow_peers is None else "leave this out"
            say(path, f"{known}: listen on a unix socket, or {or_else}")
        elif not hasattr(socket, "SO_PEERCRED"):
            say(path, "this system does not tell who is at the other end of a unix socket: nobody could be let in")


def _overlap(one: Address, other: Address) -> bool:
    """Whether two different addresses cannot both be listened on, because one contains the other."""
    if BROKEN in (one, other) or one == other or one.unix or other.unix or one.port != other.port or one.port == 0:
        return False
    hosts = {one.host, other.host}
    if "localhost" in hosts:
        return bool(hosts & {"127.0.0.1", "::1", *_WILDCARDS})
    # A wildcard of IPv6 takes IPv4 along only where the socket is told so, which asyncio never does.
    families = {":" in host for host in hosts}
    return bool(hosts & set(_WILDCARDS)) and len(families) == 1
