"""The caller of a trial sees what is wrong with an answer, and how one ended: a server that is told what to send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from trials.asks import Ask, answer_body
from trials.caller import Line, Manner, Outcome

ASK = Ask("a-1", size=40)
RIGHT = answer_body(ASK)
ONCE = Manner(keep=False)
OTHERS = answer_body(Ask("a-2", size=40))
PROBLEM = b'{"type": "urn:cognito-sidecar:error:overloaded", "status": 503}'


@asynccontextmanager
async def _server(*answers: bytes, asked: list[bytes] | None = None) -> AsyncIterator[str]:
    """Answers each head of one connection with the next bytes; after the last one it closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            if asked is not None:
                asked.append(head)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _answer(body: bytes, *fields: str, id: str = "a-1", status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"X-Ask: {id}", *(fields or (f"Content-Length: {len(body)}",))]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _outcome(*answers: bytes, ask: Ask = ASK, manner: Manner = ONCE) -> Outcome:
    async with _server(*answers) as url:
        [outcome] = await (await Line.open(url, "orders")).call([ask], manner)
        return outcome


async def test_a_right_answer() -> None:
    outcome = await _outcome(_answer(RIGHT))
    assert (outcome.end, outcome.status, outcome.bearer, outcome.differs_at) == ("whole", 200, "a-1", -1)
    assert (outcome.length, outcome.expected, outcome.extra, outcome.improper) == (40, 40, 0, "")
    assert (outcome.via, outcome.method, outcome.fair) == ("orders", "GET", True)


async def test_the_same_in_chunks_after_an_interim_answer() -> None:
    chunks = b"a\r\n%b\r\n1e\r\n%b\r\n0\r\n\r\n" % (RIGHT[:10], RIGHT[10:])
    outcome = await _outcome(b"HTTP/1.1 103 Early Hints\r\n\r\n" + _answer(chunks, "Transfer-Encoding: chunked"))
    assert (outcome.end, outcome.length, outcome.differs_at) == ("whole", 40, -1)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (_answer(OTHERS, id="a-2"), {"bearer": "a-2", "differs_at": 0}),
        (_answer(RIGHT[:25] + OTHERS[25:]), {"differs_at": 25}),
        (_answer(RIGHT[:25] + RIGHT[26:] + b"x"), {"differs_at": 25}),
        (_answer(RIGHT + b"x"), {"differs_at": 40, "length": 41}),
        (_answer(RIGHT[:20]), {"differs_at": -1, "length": 20, "end": "whole"}),
        (_answer(RIGHT, "Content-Length: 40") + b"more", {"extra": 4, "end": "whole"}),
        (_answer(RIGHT[:20], "Content-Length: 40"), {"end": "cut", "length": 20, "differs_at": -1}),
        (_answer(b"5\r\n01234\r\n", "Transfer-Encoding: chunked"), {"end": "cut", "differs_at": 0}),
        (_answer(RIGHT)[:30], {"end": "cut", "status": 0}),
        (b"", {"end": "nothing", "status": 0}),
        (_answer(RIGHT, "X-Nothing: here"), {"improper": "an answer whose end nobody can see"}),
        (b"SSH-2.0-nothing\r\n\r\n", {"end": "cut", "improper": "a head that begins with 'SSH-2.0-nothing'"}),
        (_answer(b"", id="a-1", status="401 Unauthorized"), {"status": 401, "expected": 0, "differs_at": -1}),
    ],
)
async def test_what_is_wrong_is_seen(answer: bytes, seen: dict[str, Any]) -> None:
    outcome = await _outcome(answer)
    assert {name: getattr(outcome, name) for name in seen} == seen


@pytest.mark.parametrize(
    ("fields", "body", "improper"),
    [
        (["Content-Type: application/problem+json"], PROBLEM, ""),
        (["Content-Type: text/html"], PROBLEM, "an error of the type 'text/html'"),
        (["Content-Type: application/problem+json"], b"<p>", "an error whose body is no JSON"),
        (
            ["Content-Type: application/problem+json"],
            b'{"status": 502}',
            "overloaded with status 503 says {'status': 502}",
        ),
    ],
)
async def test_the_form_of_an_error(fields: list[str], body: bytes, improper: str) -> None:
    length = f"Content-Length: {len(body)}"
    answer = _answer(body, *fields, "X-Sidecar-Error: overloaded", length, status="503 Service Unavailable")
    outcome = await _outcome(answer.replace(b"X-Ask: a-1\r\n", b""))
    assert (outcome.error, outcome.status, outcome.bearer, outcome.expected) == ("overloaded", 503, "", 0)
    assert outcome.improper == improper


async def test_requests_at_once_and_answers_in_order() -> None:
    asks = [Ask("a-1", size=40), Ask("a-2", size=40), Ask("a-3", size=40)]
    asked: list[bytes] = []
    async with _server(_answer(RIGHT), _answer(OTHERS, id="a-2"), asked=asked) as url:
        outcomes = await (await Line.open(url)).call(asks, Manner())
    assert [outcome.end for outcome in outcomes] == ["whole", "whole", "nothing"]
    assert [outcome.differs_at for outcome in outcomes] == [-1, -1, -1]
    assert [outcome.began for outcome in outcomes[1:]] == [outcome.ended for outcome in outcomes[:2]]
    assert [head.split(b" ")[1].split(b"?")[0] for head in asked] == [b"/sized/a-1", b"/sized/a-2"]


async def test_who_is_turned_away_unread_may_get_a_body_to_head() -> None:
    fields = ["Content-Type: application/problem+json", "X-Sidecar-Error: overloaded", "Connection: close"]
    turned_away = _answer(PROBLEM, *fields, f"Content-Length: {len(PROBLEM)}", status="503 Service Unavailable")
    asks = [ASK._replace(method="HEAD"), Ask("a-2", size=40)]
    async with _server(turned_away) as url:
        outcomes = await (await Line.open(url)).call(asks, Manner())
    assert [(outcome.end, outcome.extra) for outcome in outcomes] == [("whole", 0), ("nothing", 0)]
    assert (await _outcome(turned_away + b"more", ask=asks[0])).extra == len(PROBLEM) + 4


@pytest.mark.parametrize("resets", [True, False])
async def test_a_caller_that_leaves_is_no_fair_one(resets: bool) -> None:
    ask = ASK._replace(method="POST", body=1000)
    outcome = await _outcome(b"", ask=ask, manner=Manner(leaves_after=0.5, resets=resets))
    assert (outcome.end, outcome.fair) == ("left", False)


async def test_nobody_listens() -> None:
    async with _server() as url:
        pass
    with pytest.raises(OSError):
        await Line.open(url)
