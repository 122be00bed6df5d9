"""An egress proxy's answer to CONNECT: a tunnel is open when the proxy says so, in so many bytes, and says no more.

Input: all that the proxy sends before it closes the connection.

Oracle: the tunnel opens exactly where the strict reader finds interim answers and then a head with a 2xx status, and
nothing behind it; a head that frames a body badly, though it has none, may be refused. Where it does not open, there is
an EgressError that names the proxy and holds neither its credentials nor a word of what it said. And the network's cuts
make no difference, as long as nothing follows the answer.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from proxy.config.model import Proxy, Value
from proxy.egress import HEAD_LIMIT, EgressError, _Asking
from tests.conformance.reader import Unreadable, read_response
from trials.fuzz.cuts import cuts
from trials.fuzz.wires import Wire, run

SECRET: Final = "aHVzaDpodXNo"
PROXY: Final = Proxy("http", "proxy.test", 3128, authorization=Value(f"Basic {SECRET}"))
_WORDS: Final = re.compile(r"the egress proxy (?:http://)?proxy\.test:3128 [a-zA-Z0-9 :'-]+\Z")

_REASON: Final = re.compile(rb"(HTTP/1\.[01] [0-9]{3} )[^\r\n]*")
"""What a proxy puts there is never shown to anybody, and may be anything."""


def check(data: bytes) -> None:
    outcomes = [run(_ask(pieces)) for pieces in cuts(data)]
    opens, more = _meant(data)
    if outcomes[0] == "":
        assert opens, "the proxy opened no tunnel"
        assert not more, "what follows was taken for the tunnel's"
    else:
        assert more or not opens or _frames_badly(data), "a tunnel that the proxy opened was not taken"
    for outcome in outcomes:
        assert outcome == "" or _WORDS.match(outcome), "the proxy's own words got into an error"
        assert SECRET not in outcome
        assert more or (outcome == "") == (outcomes[0] == ""), "the cut decides"


async def _ask(pieces: list[bytes]) -> str:
    """What came of it: an error's words, or nothing for an open tunnel."""
    asking = _Asking(PROXY, "api.test", 443)
    wire = Wire(asking)
    asking.connection_made(wire)
    for piece in pieces:
        if wire.reading:
            wire.deliver(piece)
    if not asking.answered.done():
        wire.end()
        await asyncio.sleep(0)
    try:
        assert await asking.answered is wire
        assert not wire.reading, "what the tunnel's other end says would be lost"
    except EgressError as error:
        return str(error)
    return ""


def _frames_badly(data: bytes) -> bool:
    """Whether a head has a length that is none, or more than one framing (RFC 9112 §6.3). A client is to ignore all of
    that in an answer that opens a tunnel (RFC 9110 §9.3.6), and no proxy that is well sends it."""
    lengths = re.findall(rb"(?im)^content-length:[ \t]*([^\r\n]*)", data)
    codings = re.findall(rb"(?im)^transfer-encoding:", data)
    return len(lengths) + len(codings) > 1 or not all(re.fullmatch(rb"[0-9]{1,18}[ \t]*", one) for one in lengths)


def _meant(data: bytes) -> tuple[bool, bool]:
    """Whether it is a tunnel, and whether anything follows."""
    if len(data) > HEAD_LIMIT:
        return False, True
    data = _REASON.sub(rb"\1", data)
    try:
        while True:
            # To HEAD, as no answer to CONNECT that opens a tunnel has a body (RFC 9110 §9.3.6).
            message, data = read_response(data, b"HEAD", generous=True)
            status = int(message.first[1])
            if status >= 200 or status == 101:
                return 200 <= status < 300, bool(data)
            if message.first[0] == b"HTTP/1.0":
                return False, False  # It knows no interim answers (RFC 9110 §15.2), and its connection ends here.
    except Unreadable:
        return False, False
