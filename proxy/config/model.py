"""The configuration file as typed structures: one class for each mapping of the file, one field for each key.

These structures are the one place where a key, its type, its limits, its default and its one-line
description are named: loading, the JSON Schema, the configuration reference and the test over the example
file all read them. A loaded structure holds values, not sources: `{env: …}` and the like were read by
`proxy.config.load` on the way in. Nothing here reads a file or decides anything.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct

from proxy.secret import Secret
from proxy.socketfile import Access


class Duration(float):
    """Seconds. In the file `250ms`, `30s`, `5m`, `1h` or plain seconds."""


class Size(int):
    """Bytes. In the file `64KiB`, `10MiB` or plain bytes."""


class FileMode(int):
    """Permissions of a file. In the file an octal number in quotes: `"0660"`."""


class UserId(int):
    """A user. In the file a name or a number."""


class GroupId(int):
    """A group. In the file a name or a number."""


class Value(Secret[str]):
    """Text that may be secret: it shows where it came from, never what it is."""

    __slots__ = ("origin",)

    def __init__(self, text: str, origin: str = "literal") -> None:
        super().__init__(text)
        self.origin = origin
        """`literal`, `env NAME`, `file PATH`, or `secrets_manager ID` with the key in brackets."""

    def __repr__(self) -> str:
        return f"<value from {self.origin}>"


def is_loopback(host: str) -> bool:
    """True for `localhost`, 127.0.0.0/8 and ::1, never for another name, whatever it resolves to just now."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback


class Url(NamedTuple):
    """An http or https URL, taken apart. It never holds credentials or a fragment."""

    scheme: Literal["http", "https"]
    host: str
    """Without the brackets of an IPv6 address, lower case, an international name in its ASCII form."""
    port: int
    path: str
    """The path as written, without a trailing slash: "" for a bare origin. For a token URL the path and query."""

    @property
    def authority(self) -> str:
        """What a Host field says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        return self.origin + self.path


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens: `host:port`, or `unix:/path` (then host is "" and port 0).

    Port 0 asks for a free one. Two addresses are equal where they are the same place, whoever may connect to it: so
    a reload finds a listener again whose socket is only to have another mode.
    """

    host: str
    port: int
    unix: str = ""
    access: Access = field(default=Access(), compare=False)
    """To the file of a unix socket."""

    @property
    def is_loopback(self) -> bool:
        """True for a unix socket and for names and addresses of this machine only."""
        return bool(self.unix) or is_loopback(self.host)

    def __str__(self) -> str:
        if self.unix:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Proxy(NamedTuple):
    """An egress proxy: one that opens a tunnel to wherever it is asked to (RFC 9110 §9.3.6)."""

    scheme: Literal["http", "https"]
    """How the proxy itself is spoken to. What goes through the tunnel has its own TLS."""
    host: str
    port: int
    authorization: Value | None = None
    """The value of Proxy-Authorization, where the URL has a user name."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Egress(NamedTuple):
    """The proxies that an upstream's connections go through; None stands for the straight way."""

    upstream: Proxy | None = None
    token: Proxy | None = None
    """Of the token endpoint. It is another one only where the environment says so."""


def about(description: str, **limits: Any) -> Meta:
    """The one-line description of a key, and the limits of its value."""
    return Meta(description=description, **limits)


# Kinds of text. `title` is what a message calls them; `rule` names a check of `proxy.config.rules` where a
# pattern cannot say it, or cannot say it well.
_TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # noqa: S105 - RFC 9110 §5.6.2, "token"
HeaderName = Annotated[str, Meta(title="the name of an HTTP field", pattern=_TOKEN)]
Scheme = Annotated[str, Meta(title="one word such as Bearer, or nothing", pattern=f"^$|{_TOKEN}")]
Scope = Annotated[
    str, Meta(title="one scope, without spaces and quotes", pattern="^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$")
]  # RFC 6749 §3.3, "scope-token"
Method = Annotated[str, Meta(title="a method in upper case such as GET", pattern="^[!#$%&'*+.^_`|~0-9A-Z-]+$")]
ParamName = Annotated[str, Meta(title="the name of a form field", min_length=1)]
UpstreamName = Annotated[
    str,
    Meta(title="a name of at most 63 letters, digits, dots, hyphens and underscores", pattern="^[A-Za-z0-9_.-]{1,63}$"),
]
Prefix = Annotated[str, Meta(title="a path such as / or /orders", extra={"rule": "prefix"})]
PathPattern = Annotated[str, Meta(title="a path such as /orders/* or /orders/**", extra={"rule": "path_pattern"})]
HostPattern = Annotated[str, Meta(title='a host name or "*"', extra={"rule": "host_pattern"})]
HostName = Annotated[str, Meta(title="a host name", extra={"rule": "host_name"})]
SocketPath = Annotated[str, Meta(title="the path of a socket", extra={"rule": "socket_path"})]
FilePath = Annotated[str, Meta(title="the path of a file", extra={"rule": "file"})]
BaseUrl = Annotated[Url, Meta(extra={"rule": "base_url"})]
TokenUrl = Annotated[Url, Meta(extra={"rule": "token_url"})]
Credential = Annotated[Value, Meta(extra={"rule": "credential"})]
HeaderValue = Annotated[Value, Meta(extra={"rule": "header_value"})]
ParamValue = Annotated[Value, Meta(extra={"rule": "param_value"})]
CacheUrl = Annotated[Value, Meta(extra={"rule": "cache_url"})]
KeyPrefix = Annotated[
    str, Meta(title="letters, digits, colons, dots, hyphens and underscores", pattern="^[A-Za-z0-9_.:-]{1,64}$")
]
CallerKey = Annotated[Value, Meta(extra={"rule": "caller_key"})]
Share = Annotated[float, Meta(gt=0.0, le=1.0)]
"""A share of a whole, such as of a token's life."""


class Mapping(Struct, frozen=True, forbid_unknown_fields=True):
    """What every mapping of the file has in common: no key that is not a field, no change after loading."""


class Tls(Mapping, frozen=True):
    ca_file: Annotated[FilePath | None, about("PEM file of the authorities to trust; null: the system's")] = None
    cert_file: Annotated[FilePath | None, about("PEM file of a client certificate and its chain")] = None
    key_file: Annotated[FilePath | None, about("PEM file of the client certificate's key, unencrypted")] = None
    server_name: Annotated[HostName | None, about("name to ask for and to verify; null: the URL's host")] = None


class Auth(Mapping, frozen=True):
    token_url: Annotated[TokenUrl, about("the token endpoint")]
    client_id: Annotated[Credential, about("the app client's id")]
    client_secret: Annotated[
        tuple[Credential, ...],
        about("the app client's secret, or a list of two while it is rotated", min_length=1, max_length=2),
    ]
    """One, or two while a rotation is under way."""
    scopes: Annotated[tuple[Scope, ...], about("scopes to ask for; empty: all that the client may have")] = ()
    method: Annotated[
        Literal["basic", "basic_raw", "post"],
        about("basic: id and secret form-encoded first (RFC 6749); basic_raw: not encoded; post: in the body"),
    ] = "basic"
    extra_params: Annotated[dict[ParamName, ParamValue], about("more form fields, e.g. aws_client_metadata")] = {}
    header: Annotated[HeaderName, about("the header that carries the token")] = "Authorization"
    scheme: Annotated[Scheme, about('the word before the token; "" sends the bare token')] = "Bearer"
    refresh_at: Annotated[Share, about("share of the token's life after which it is renewed in the background")] = 0.75
    refresh_jitter: Annotated[float, about("renewal is moved by plus or minus this share of the life", ge=0, lt=1)] = (
        0.05
    )
    idle_after: Annotated[
        Duration, about("no background renewal once no request came for this long; 0s: always renew", ge=0)
    ] = Duration(0)
    request_timeout: Annotated[Duration, about("limit of one call of the token endpoint", gt=0)] = Duration(10)
    wait: Annotated[
        Duration,
        about(
            "how long a request waits for a token before it gets 503, or for a renewal before a 401 is passed on", ge=0
        ),
    ] = Duration(5)
    tls: Annotated[Tls, about("TLS towards the token endpoint")] = Tls()
    """Of the token endpoint."""


class UnixSocket(Mapping, frozen=True):
    """A listen address in its long form. After loading it is an `Address`."""

    unix: Annotated[SocketPath, about("absolute path of the socket")]
    mode: Annotated[
        FileMode | None,
        about('who may connect, as an octal number in quotes; null: "0600", or "0660" where group is set'),
    ] = None
    owner: Annotated[UserId | None, about("user that the socket belongs to; null: the sidecar's own")] = None
    group: Annotated[GroupId | None, about("group that the socket belongs to; null: as any file made there")] = None


class Peers(Mapping, frozen=True):
    """Callers by what the system says of the other end of a unix socket. One that any of both lists has is meant."""

    uids: Annotated[tuple[UserId, ...], about("users, by name or number")] = ()
    gids: Annotated[
        tuple[GroupId, ...], about("groups, by name or number; a caller's supplementary groups count as well")
    ] = ()


class Allow(Mapping, frozen=True):
    methods: Annotated[tuple[Method, ...], about("exact methods (GET does not imply HEAD); empty: any")] = ()
    paths: Annotated[
        tuple[PathPattern, ...],
        about("paths below the prefix; * is within one segment, ** any number of segments; empty: any"),
    ] = ()


class Headers(Mapping, frozen=True):
    set: Annotated[dict[HeaderName, HeaderValue], about("headers to set, replacing the caller's")] = {}
    remove: Annotated[tuple[HeaderName, ...], about("headers of the caller to take off")] = ()


class Timeouts(Mapping, frozen=True):
    connect: Annotated[
        Duration, about("to get a connection: a free place in the pool, TCP, egress proxy and TLS", gt=0)
    ] = Duration(5)
    response: Annotated[Duration, about("until the response head is there", gt=0)] = Duration(60)
    idle: Annotated[Duration, about("without a byte in either direction", gt=0)] = Duration(300)


class Pool(Mapping, frozen=True):
    max_connections: Annotated[int, about("open connections to the upstream at most", ge=1)] = 100
    keepalive: Annotated[Duration, about("an idle connection is closed after this long", ge=0)] = Duration(50)


class Upstream(Mapping, frozen=True, kw_only=True):
    listen: Annotated[Address, about("where callers connect: host:port, unix:/path, or a mapping for a unix socket")]
    prefix: Annotated[
        Prefix, about("path prefix that selects this upstream; taken off before forwarding, the longest one wins")
    ] = "/"
    """Begins with a slash and, but for `/` itself, does not end with one."""
    url: Annotated[BaseUrl, about("where requests go: scheme, host, optional port, optional base path")]
    auth: Annotated[Auth, about("how to get the token")]
    required: Annotated[bool, about("false: /startupz and /readyz do not wait for this upstream's token")] = True
    allow_peers: Annotated[
        Peers | None, about("{uids: [], gids: []}, instead of those at the top; {}: everybody; null: those at the top")
    ] = None
    """After loading those in force, and None stands for everybody."""
    allow: Annotated[
        tuple[Allow, ...], about("rules {methods: [GET], paths: [/orders/*]}, one of which must match; empty: all do")
    ] = ()
    hosts: Annotated[
        tuple[HostPattern, ...], about('Host names accepted besides localhost, 127.0.0.1 and [::1]; "*" accepts any')
    ] = ()
    """Lower case; an IPv6 address in its brackets, as a Host field has it."""
    headers: Annotated[Headers, about("changes to the request's headers on their way to the upstream")] = Headers()
    retry_on_401: Annotated[bool, about("after a 401: renew the token and send the request again, once")] = True
    replay_limit: Annotated[Size, about("a request body up to this size is kept, so that it can be sent again")] = Size(
        64 * 1024
    )
    max_body: Annotated[Size, about("larger request bodies are refused; 0: no limit")] = Size(0)
    timeouts: Annotated[Timeouts, about("limits of one exchange with the upstream")] = Timeouts()
    pool: Annotated[Pool, about("connections to the upstream")] = Pool()
    tls: Annotated[Tls, about("TLS towards the upstream")] = Tls()
    egress_proxy: Annotated[
        Egress | None,
        about("http://user:pass@proxy:3128; none: straight; null: as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say"),
    ] = None
    """Of connections to the upstream and to its token endpoint. After loading, None stands for the straight way."""
    allow_insecure: Annotated[bool, about("allow plain http to hosts off loopback: token and secret in clear")] = False


class RequireHeader(Mapping, frozen=True):
    name: Annotated[HeaderName, about("the header's name")]
    value: Annotated[CallerKey, about("the value that callers must send")]


LONGEST_TIMEOUT = 5.0
"""Seconds. Whoever waits longer for an aid to the token would be served sooner without it."""


class TokenCache(Mapping, frozen=True):
    url: Annotated[
        CacheUrl,
        about("rediss://host:6379; redis+cluster:// for a cluster, redis+sentinel://host,host/service for sentinels"),
    ]
    username: Annotated[Credential | None, about("of an ACL user; null: the default user")] = None
    password: Annotated[Credential | None, about("the user's password")] = None
    ca_file: Annotated[FilePath | None, about("PEM file of the authorities to trust; null: the system's")] = None
    cert_file: Annotated[FilePath | None, about("PEM file of a client certificate and its chain")] = None
    key_file: Annotated[FilePath | None, about("PEM file of the client certificate's key, unencrypted")] = None
    key_prefix: Annotated[KeyPrefix, about("the beginning of every name in it")] = "cognito-sidecar"
    timeout: Annotated[
        Duration, about("limit of one operation; then the sidecar goes on alone", gt=0, le=LONGEST_TIMEOUT)
    ] = Duration(0.25)


class Limits(Mapping, frozen=True):
    connections: Annotated[
        int,
        about("callers' connections to one listener; one more ends the one that was idle longest, or gets 503", ge=1),
    ] = 10_000
    waiting: Annotated[
        int, about("requests of one upstream that wait for a token or a connection; one more gets 503", ge=1)
    ] = 1000
    head_time: Annotated[Duration, about("from a request head's first byte to its last", gt=0)] = Duration(30)
    body_time: Annotated[
        Duration, about("for each KiB of a request body, until the upstream answers; 0s: no limit", ge=0)
    ] = Duration(60)
    keepalive: Annotated[Duration, about("a caller's idle connection is closed after this long", gt=0)] = Duration(300)


class Admin(Mapping, frozen=True):
    listen: Annotated[Address, about("where metrics, probes and status are served; may be off loopback")] = Address(
        "127.0.0.1", 9090
    )
    hosts: Annotated[
        tuple[HostPattern, ...],
        about('while it listens on loopback: Host names with a dot that are accepted; "*" accepts any'),
    ] = ()
    """Lower case. Others have a dot where a web page has its name: see `proxy.admin.hosts`."""


class Log(Mapping, frozen=True):
    format: Annotated[Literal["text", "json"], about("how log lines look")] = "text"
    level: Annotated[Literal["debug", "info", "warning", "error"], about("the least level that is logged")] = "info"
    access: Annotated[bool, about("one log line for each request")] = False


class Shutdown(Mapping, frozen=True):
    delay: Annotated[Duration, about("goes on accepting, unready, for this long after SIGTERM", ge=0)] = Duration(0)
    grace: Annotated[Duration, about("then running requests have this long to end before they are cut", ge=0)] = (
        Duration(25)
    )


class SecretsManager(Mapping, frozen=True):
    refresh: Annotated[
        Duration, about("secrets are read again after this long; 0s: only on SIGHUP and on invalid_client", ge=0)
    ] = Duration(300)
    wait: Annotated[
        Duration, about("how long `run` waits, before it listens, for secrets that cannot be read yet", ge=0)
    ] = Duration(30)


class Config(Mapping, frozen=True):
    """The whole file."""

    upstreams: Annotated[
        dict[UpstreamName, Upstream],
        about("at least one; the key is its name in metrics, logs and commands", min_length=1),
    ]
    allow_remote_clients: Annotated[bool, about("allow data listeners off loopback")] = False
    allow_browsers: Annotated[bool, about("allow requests with Origin, or from another site by Sec-Fetch-Site")] = False
    allow_peers: Annotated[
        Peers, about("who may use the upstreams, all on unix sockets then; both lists empty: everybody")
    ] = Peers()
    require_header: Annotated[
        RequireHeader | None, about("a header that callers must send, once; it is never forwarded")
    ] = None
    token_cache: Annotated[
        TokenCache | None, about("a Redis or Valkey by which sidecars share tokens; it needs the extra `redis`")
    ] = None
    limits: Annotated[Limits, about("what callers may take up")] = Limits()
    secrets_manager: Annotated[
        SecretsManager, about("how values with secrets_manager are read; they need the extra `aws`")
    ] = SecretsManager()
    admin: Annotated[Admin, about("the admin listener")] = Admin()
    log: Annotated[Log, about("log lines, on standard error")] = Log()
    shutdown: Annotated[Shutdown, about("what SIGTERM and SIGINT do")] = Shutdown()


class SecretRef(NamedTuple):
    """One secret in Secrets Manager. Values that name it alike are read in one go."""

    id: str
    """Its name or ARN, as configured."""
    region: str
    """"" leaves it to AWS's own settings."""

    def __str__(self) -> str:
        return f"secret {self.id}" + (f" in {self.region}" if self.region and not self.id.startswith("arn:") else "")


class Loaded(NamedTuple):
    """A configuration that may be served, and what it was made from."""

    config: Config
    hash: str
    """The first 12 hex digits of a SHA-256 over the file's and every value's content."""
    files: tuple[str, ...]
    """The configuration file, every `{file: …}` and every TLS file of it: what a watcher compares by content."""
    variables: tuple[str, ...] = ()
    """The environment variables that hold its values."""
    secrets: tuple[SecretRef, ...] = ()
    """Every secret of Secrets Manager that values of it are in."""
