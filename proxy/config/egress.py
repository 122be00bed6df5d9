"""Which egress proxy a connection goes through: by the key `egress_proxy`, or by the environment.

Pure functions of text. NO_PROXY is read as Python's own urllib reads it, and networks besides. No message quotes
the text of a proxy's URL, since a password may be in it.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote_to_bytes

from proxy.config.model import Egress, Proxy, Upstream, Url, Value
from proxy.config.rules import authority
from proxy.config.scalars import InvalidError, has_control, parse_port

A_PROXY = "the URL of a proxy such as http://proxy.example:3128"


def parse_setting(value: Value) -> Egress:
    """What the key says: `none`, or the proxy for all connections of the upstream. Raises InvalidError."""
    text = value.reveal()
    if text == "none":
        return Egress()
    if "://" not in text:
        raise InvalidError(f"expected none, or {A_PROXY}")
    proxy = parse_proxy(text, value.origin)
    return Egress(proxy, proxy)


def parse_proxy(text: str, origin: str) -> Proxy:
    """A proxy from its URL, `origin` as in Value. Raises InvalidError."""
    if has_control(text) or re.search(r"\s", text):
        raise InvalidError("the proxy's URL contains a space, a line break or a control character")
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\\]*)(/?)(.*)", text)
    if match is None:
        raise InvalidError(f"expected {A_PROXY}")
    scheme, place, _, rest = match.groups()
    kind: Literal["http", "https"]
    match scheme.lower():
        case "http":
            kind, default = "http", 80
        case "https":
            kind, default = "https", 443
        case _:
            raise InvalidError("expected the URL of a proxy that begins with http:// or https://")
    if rest:
        hint = ": percent-encode / ? # in the user name and password" if "@" in rest else ""
        raise InvalidError(f"a path, query or fragment has no place in the URL of a proxy{hint}")
    user_info, at, address = place.rpartition("@")
    host, port = authority(address)
    number = default if port is None else parse_port(port, least=1)
    return Proxy(kind, host, number, _authorization(user_info, origin) if at else None)


def _authorization(user_info: str, origin: str) -> Value | None:
    """Basic credentials (RFC 7617) from `user:password`, each of them percent-encoded."""
    user, _, password = (unquote_to_bytes(part) for part in user_info.partition(":"))
    if not user and not password:
        return None
    if b":" in user:
        raise InvalidError("a user name with a colon cannot be sent to a proxy")
    if re.search(rb"[\x00-\x1f\x7f]", user + password):
        raise InvalidError("the proxy's user name or password has a control character")
    return Value("Basic " + b64encode(user + b":" + password).decode("ascii"), origin)


def of_environment(upstream: Upstream, environ: Mapping[str, str]) -> Egress:
    """The proxies of an upstream without the key. Raises InvalidError that names the variable."""
    return Egress(proxy_for(upstream.url, environ), proxy_for(upstream.auth.token_url, environ))


def proxy_for(url: Url, environ: Mapping[str, str]) -> Proxy | None:
    """The environment's proxy for a URL, None for the straight way. Raises InvalidError that names the variable.

    Nothing on loopback is reached by way of another machine.
    """
    variable = _variable(f"{url.scheme}_proxy", environ)
    if not variable or url.is_loopback or _is_exempt(url, environ.get(_variable("no_proxy", environ), "")):
        return None
    text = environ[variable].strip()
    try:
        # Without a scheme, as curl and others take it, it is an HTTP proxy.
        return parse_proxy(text if "://" in text else f"http://{text}", f"env {variable}")
    except InvalidError as error:
        raise InvalidError(f"environment variable {variable}: {error}") from None


def _variable(name: str, environ: Mapping[str, str]) -> str:
    """Which spelling of a variable counts, "" for none: the lower-case one where it is there, even empty.

    A web server hands the caller's field `Proxy` to a CGI program as HTTP_PROXY (CVE-2016-1000110).
    """
    if name in environ:
        return name if environ[name].strip() else ""
    upper = name.upper()
    trusted = upper != "HTTP_PROXY" or "REQUEST_METHOD" not in environ
    return upper if trusted and environ.get(upper, "").strip() else ""


def _is_exempt(url: Url, no_proxy: str) -> bool:
    entries = [entry.removeprefix("*") or entry for entry in re.split(r"[,\s]+", no_proxy) if entry]
    if not entries:
        return False
    # Not at the top: it is large, and mostly there is no NO_PROXY. The types' stubs leave this function out.
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # noqa: PLC0415

    host = url.host.rstrip(".")
    place = f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"
    if proxy_bypass_environment(place, {"no": ",".join(entry.rstrip(".") for entry in entries)}):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(_holds(entry, address) for entry in entries)


def _holds(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an entry of NO_PROXY is this address, or a network that it belongs to."""
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
