"""Durations, sizes and listen addresses: from the text of the file to the model's types, and back for people.

Pure functions. What cannot be read raises InvalidError with words that say what was expected and never quote
the text, because what stands in the wrong place may be a secret.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re

from proxy.config.model import Address, Duration, Size
from proxy.config.words import got

A_DURATION = "a duration such as 250ms, 30s, 5m, 1h or a number of seconds"
A_SIZE = "a size such as 64KiB, 10MiB or a number of bytes"
AN_ADDRESS = "host:port such as 127.0.0.1:8080, or unix:/path"

DURATION_PATTERN = "^[0-9]{1,12}([.][0-9]{1,6})?(ms|s|m|h)?$"
SIZE_PATTERN = "^[0-9]{1,16}(B|KB|kB|MB|GB|KiB|MiB|GiB)?$"

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, None: 1}
_BYTES = {"B": 1, "KB": 1000, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_LONGEST = 366 * 24 * 3600
_LARGEST = 1 << 53
_UNIX_PATH_BYTES = 107
"""What fits into sun_path of Linux's sockaddr_un, less its closing NUL (unix(7))."""


class InvalidError(ValueError):
    """Text that cannot be used; the message says what is wrong, without the text."""


class ElsewhereError(InvalidError):
    """The configuration's own text is right, but what it points to is not there or is no good."""

    def __init__(self, problem: str, explanation: str, remedy: str = "") -> None:
        self.problem = problem
        """The message less what to do about it."""
        self.explanation = explanation
        """A name of `proxy.explanations`."""
        super().__init__(f"{problem}. {remedy}" if remedy else problem)


def parse_duration(raw: object) -> Duration:
    """Seconds from `250ms`, `30s`, `5m`, `1h`, or a number with or without quotes. At most a year."""
    if isinstance(raw, str):
        match = re.fullmatch(f"({DURATION_PATTERN[1:-1]})", raw)
        if match is None:
            raise InvalidError(f"expected {A_DURATION}")
        unit = match[3]
        seconds = float(raw.removesuffix(unit or "")) * _SECONDS[unit]
    elif isinstance(raw, int | float) and not isinstance(raw, bool):
        if isinstance(raw, float) and not math.isfinite(raw):
            raise InvalidError(f"expected {A_DURATION}, got one without an end")
        seconds = min(raw, _LONGEST + 1)
    else:
        raise InvalidError(f"expected {A_DURATION}, got {got(raw)}")
    if seconds < 0:
        raise InvalidError(f"expected {A_DURATION}, got a negative one")
    if seconds > _LONGEST:
        raise InvalidError("expected a duration of at most a year")
    return Duration(seconds)


def write_duration(seconds: float) -> str:
    """A duration as a person would write it, to the millisecond: `parse_duration` reads it back."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds >= 10 * length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def parse_size(raw: object) -> Size:
    """Bytes from `64KiB`, `10MiB`, `1GiB`, `10MB`, or a whole number with or without quotes."""
    if isinstance(raw, str):
        match = re.fullmatch(f"({SIZE_PATTERN[1:-1]})", raw)
        if match is None:
            raise InvalidError(f"expected {A_SIZE}")
        unit = match[2]
        size = int(raw.removesuffix(unit or "")) * _BYTES[unit or "B"]
    elif isinstance(raw, int) and not isinstance(raw, bool):
        size = raw
    else:
        raise InvalidError(f"expected {A_SIZE}, got {got(raw)}")
    if size < 0:
        raise InvalidError(f"expected {A_SIZE}, got a negative one")
    if size > _LARGEST:
        raise InvalidError("expected a size of at most 8192 TiB")
    return Size(size)


def write_size(size: int) -> str:
    """A size as a person would write it: `parse_size` reads it back."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)


def parse_address(raw: object) -> Address:
    """Where to listen, from `host:port`, `[::1]:port` or `unix:/absolute/path`. The host is always named."""
    if not isinstance(raw, str):
        # YAML 1.1 reads an unquoted 10:30 as a number to the base of sixty, so a number here may be one of those.
        raise InvalidError(f"expected {AN_ADDRESS}, got {got(raw)}")
    if raw.startswith("unix:"):
        return Address("", 0, socket_path(raw.removeprefix("unix:")))
    host, colon, port = raw.rpartition(":")
    if not colon or "]" in port:
        raise InvalidError(f"expected {AN_ADDRESS}")
    if not host:
        raise InvalidError(f"expected {AN_ADDRESS}: a port alone does not say which address to listen on")
    number = parse_port(port, least=0)
    if host.startswith("[") and host.endswith("]"):
        return Address(parse_ipv6(host[1:-1], scope=True), number)
    if ":" in host:
        raise InvalidError("expected an IPv6 address in brackets, such as [::1]:8080")
    return Address(parse_host(host), number)


def socket_path(path: str) -> str:
    """The path of a unix socket, as it follows `unix:`."""
    if path.startswith("//"):
        path = "/" + path.lstrip("/")  # unix:///run/x is how some programs write unix:/run/x
    if not path.startswith("/"):
        raise InvalidError("expected an absolute path after unix:, such as /run/sidecar/orders.sock")
    if path.endswith("/") or has_control(path):
        raise InvalidError("expected the path of a socket after unix:")
    if len(os.fsencode(path)) > _UNIX_PATH_BYTES:
        raise InvalidError(f"the path of a unix socket has at most {_UNIX_PATH_BYTES} bytes")
    return path


def file_path(path: str) -> str:
    """The path of a file, absolute or not. Problems show it, each in one line."""
    if not path or has_control(path):
        raise InvalidError("expected the path of a file" + (", without control characters" if path else ""))
    return path


def parse_port(text: str, *, least: int) -> int:
    """A port number, `least` 0 or 1."""
    if not re.fullmatch("[0-9]{1,5}", text) or not least <= int(text) <= 65535:
        raise InvalidError(f"expected a port from {least} to 65535")
    return int(text)


def parse_ipv6(text: str, *, scope: bool = False) -> str:
    """The usual spelling of an IPv6 address given without brackets; `scope` allows a zone such as %eth0."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise InvalidError("expected an IPv6 address between the brackets") from None
    if address.scope_id and not scope:
        raise InvalidError("expected an IPv6 address without a zone")
    return str(address)


def parse_host(text: str) -> str:
    """A host name or IPv4 address in lower case, an international name in its ASCII form (IDNA 2008, UTS 46)."""
    if not text.isascii():
        text = _ascii_host(text)
    host = text.lower()
    labels = host.removesuffix(".").split(".")
    if re.fullmatch("[0-9]+|0x[0-9a-f]*", labels[-1]):
        # inet_aton takes 127.1, 0 and 2130706433 for addresses: a check by name must not take them for names.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise InvalidError("expected a host name or an IP address in full, such as 127.0.0.1") from None
    if len(host) > 253 or not all(re.fullmatch("[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", label) for label in labels):
        raise InvalidError("expected a host name or an IP address")
    return host


def _ascii_host(text: str) -> str:
    import idna  # noqa: PLC0415 - its tables are large, and hardly any configuration needs them

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise InvalidError("expected a host name, and this international one is not valid") from None


def has_control(text: str) -> bool:
    """True for text with control characters, line breaks included, or with what no encoding can carry."""
    return re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text) is not None
