"""The answers that the sidecar itself gives (RFC 9457), as one block of bytes. Pure."""

from __future__ import annotations

import json
import math

from proxy.errors import KINDS, Refusal


def answer(refusal: Refusal, *, upstream: str | None, close: bool, with_body: bool = True) -> bytes:
    """The whole response to a refused request; to HEAD it goes without its body."""
    kind = KINDS[refusal.name]
    document = {
        "type": f"urn:cognito-sidecar:error:{refusal.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": refusal.detail,
        "upstream": upstream,
    }
    # A detail may hold half a surrogate pair, from a token endpoint's JSON say: UTF-8 has no form for that.
    body = json.dumps(document, ensure_ascii=False).encode(errors="replace") + b"\n"
    lines = [
        f"HTTP/1.1 {kind.status} {_REASONS[kind.status]}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        f"X-Sidecar-Error: {refusal.name}",
        "Cache-Control: no-store",
    ]
    if refusal.retry_after is not None:
        lines.append(f"Retry-After: {max(1, math.ceil(refusal.retry_after))}")
    if close:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return head + body if with_body else head


_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
