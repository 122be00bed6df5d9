"""URLs, paths, host names and credentials: what their text must be like, one function for each rule of the model.

Pure functions. Each takes text and returns what the model keeps, or raises InvalidError with words that do not
quote the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal
from urllib.parse import unquote_to_bytes

from proxy.config.model import Url
from proxy.config.scalars import InvalidError, has_control, parse_host, parse_ipv6, parse_port, socket_path

_PCHAR = r"A-Za-z0-9._~!$&'()*+,;=:@\-"
"""RFC 3986 §3.3, "pchar" but for percent-encoding."""


def base_url(text: str) -> Url:
    """The URL of an upstream: no query, and a base path that means the same to every reader."""
    url, query = _url(text)
    if query is not None:
        raise InvalidError("a query has no place in the URL of an upstream")
    path = url.path.rstrip("/")
    if any(not segment for segment in path.split("/")[1:]):
        raise InvalidError("the path of the URL has an empty segment (//)")
    return url._replace(path=path)


def token_url(text: str) -> Url:
    """The URL of a token endpoint: its path and query are kept as written (RFC 6749 §3.2)."""
    url, query = _url(text)
    if query is not None and not re.fullmatch(f"([{_PCHAR}/?]|%[0-9A-Fa-f]{{2}})*", query):
        raise InvalidError("the query of the URL has a character that must be percent-encoded")
    return url._replace(path=(url.path or "/") + ("" if query is None else "?" + query))


def _url(text: str) -> tuple[Url, str | None]:
    """An http or https URL and its query, if it has one."""
    if has_control(text) or re.search(r"\s", text):
        raise InvalidError("the URL contains a space, a line break or a control character")
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\\]*)([^?#]*)(?:\?([^#]*))?(#.*)?", text)
    if match is None:
        raise InvalidError("expected a URL such as https://api.example.com/dev")
    scheme, place, path, query, fragment = match.groups()
    if scheme.lower() not in ("http", "https"):
        raise InvalidError("expected a URL that begins with https:// or http://")
    if "@" in place:
        raise InvalidError("a user name or password has no place in the URL")
    if fragment is not None:
        raise InvalidError("a fragment (#…) has no place in the URL")
    host, port = authority(place)
    _check_path(path)
    kind: Literal["http", "https"] = "https" if scheme.lower() == "https" else "http"
    default = 443 if kind == "https" else 80
    return Url(kind, host, default if port is None else parse_port(port, least=1), path), query


def authority(text: str) -> tuple[str, str | None]:
    """Host and port of a URL, the port as text. Raises InvalidError."""
    if text.startswith("["):
        match = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", text)
        if match is None:
            raise InvalidError("expected an IPv6 address in brackets, then perhaps a port")
        return parse_ipv6(match[1]), match[2]
    host, colon, port = text.partition(":")
    if ":" in port:
        raise InvalidError("expected an IPv6 address in brackets, such as https://[::1]:8443")
    if not host:
        raise InvalidError("the URL names no host")
    return parse_host(host), port if colon else None


def _check_path(path: str) -> None:
    """Refuse a path that another reader may take for a different one."""
    if not re.fullmatch(f"([{_PCHAR}/]|%[0-9A-Fa-f]{{2}})*", path):
        raise InvalidError("the path of the URL has a character that must be percent-encoded")
    for segment in path.split("/"):
        plain = unquote_to_bytes(segment)
        if plain.partition(b";")[0] in (b".", b".."):
            raise InvalidError("the path of the URL has a . or .. segment")
        if re.search(rb"[/\\\x00-\x1f\x7f]", plain):
            raise InvalidError("the path of the URL has an encoded slash, backslash or control character")


def prefix(text: str) -> str:
    """The path prefix of an upstream, without a trailing slash unless it is `/` itself."""
    if not text.startswith("/"):
        raise InvalidError("expected a path that begins with a slash")
    if "?" in text or "#" in text:
        raise InvalidError("a query or fragment has no place in a prefix")
    if not re.fullmatch(f"[{_PCHAR}/]*", text):
        raise InvalidError("expected a path of plain characters, without spaces and percent-encoding")
    short = text[:-1]
    segments = short.split("/")[1:]
    if any(segment.partition(";")[0] in (".", "..") for segment in (*segments, text.rpartition("/")[2])):
        raise InvalidError("expected a path without . and .. segments")
    if text == "/":
        return text
    if "//" in text:
        raise InvalidError("expected a path without an empty segment (//)")
    return text.removesuffix("/")


def path_pattern(text: str) -> str:
    """A path of an `allow` rule. It is compared with the path after percent-decoding."""
    if not text.startswith("/"):
        raise InvalidError("expected a path that begins with a slash")
    if has_control(text):
        raise InvalidError("expected a path without control characters")
    if "?" in text or "#" in text:
        raise InvalidError("rules see the path alone: leave the query out (* stands for any characters)")
    if re.search("%[0-9A-Fa-f]{2}", text):
        raise InvalidError("paths are compared after percent-decoding: write the character itself")
    for segment in text.split("/"):
        if segment in (".", ".."):
            raise InvalidError("expected a path without . and .. segments, which are never forwarded")
        if "**" in segment and segment != "**":
            raise InvalidError("** stands for whole segments: write it between slashes, or * within a segment")
    return text


def host_name(text: str) -> str:
    """A host name or IP address (IPv6 without brackets), as TLS verifies it."""
    return parse_ipv6(text) if ":" in text else parse_host(text)


def host_pattern(text: str) -> str:
    """A Host that callers may name: lower case, an IPv6 address in brackets, or a lone `*`."""
    if text == "*":
        return text
    if "*" in text:
        raise InvalidError('expected a host name in full: only a lone "*", for any host, is a wildcard')
    if "/" in text:
        raise InvalidError("expected a host name, without scheme and path")
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if bracket and not port:
            return f"[{parse_ipv6(host)}]"
    elif text.count(":") > 1:
        return f"[{parse_ipv6(text)}]"
    elif ":" not in text:
        return parse_host(text)
    raise InvalidError("expected a host name without a port: any port is accepted")


def credential(text: str) -> str:
    """A client id or secret: any printable text, RFC 6749 appendix A notwithstanding."""
    if not text:
        raise InvalidError("is empty")
    if has_control(text):
        raise InvalidError("contains a line break or another control character")
    return text


def header_value(text: str) -> str:
    """The value of a header field (RFC 9110 §5.5): it may be empty, and hold tabs inside."""
    if has_control(text.replace("\t", " ")):
        raise InvalidError("contains a line break or another control character")
    if text != text.strip(" \t"):
        raise InvalidError("begins or ends with a space, which HTTP would take off")
    return text


def caller_key(text: str) -> str:
    """The value of a header that callers must send."""
    if not text:
        raise InvalidError("is empty")
    return header_value(text)


def param_value(text: str) -> str:
    """The value of a form field: any text."""
    return text


def cache_url(text: str) -> str:
    """Where a Redis or Valkey is: one server, a cluster, or the sentinels that know it."""
    scheme, _, rest = text.partition("://")
    place = rest.partition("/")[0]
    form = _CACHE_FORMS.get(scheme)
    if form is None or not form.fullmatch(rest):
        raise InvalidError(
            "expected redis://HOST:PORT[/DATABASE], rediss:// for TLS, unix:///PATH, redis+cluster://HOST:PORT, or "
            "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE[/DATABASE]"
        )
    if "@" in place:
        raise InvalidError("user name and password have keys of their own, username and password")
    if scheme != "unix":
        for one in place.split(","):
            _, port = authority(one)
            if port is not None:
                parse_port(port, least=1)
    return text


_ONE = re.compile(r"[^\s/?#,]+(?:/\d{0,4})?")
_CLUSTER = re.compile(r"[^\s/?#,]+/?")
_SENTINELS = re.compile(r"[^\s/?#]+/[\w.-]+(?:/\d{1,4})?")
_CACHE_FORMS = {
    "redis": _ONE,
    "rediss": _ONE,
    "unix": re.compile(r"/[^\s?#]+"),
    "redis+cluster": _CLUSTER,
    "rediss+cluster": _CLUSTER,
    "redis+sentinel": _SENTINELS,
    "rediss+sentinel": _SENTINELS,
}


TEXTS: dict[str, Callable[[str], str]] = {
    "prefix": prefix,
    "socket_path": socket_path,
    "path_pattern": path_pattern,
    "host_name": host_name,
    "host_pattern": host_pattern,
    "credential": credential,
    "header_value": header_value,
    "cache_url": cache_url,
    "caller_key": caller_key,
    "param_value": param_value,
}
URLS: dict[str, Callable[[str], Url]] = {"base_url": base_url, "token_url": token_url}
