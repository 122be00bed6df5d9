"""One request and its answer, from the head to the last byte.

Phases: TOKEN (waits for one), CONNECTION (waits for one), ASKED (the request goes out, no final head yet),
HELD (the upstream said 401; its answer waits while the token is renewed), ANSWERING (the head is passed on,
the body follows), DONE. After a 101 a tunnel takes over. Nothing is awaited on the usual way: each step is a
call from a socket's callback. Only waiting for a token, or for its renewal, is a task; it ends with the caller.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final

from proxy.clock import stopwatch
from proxy.errors import KINDS, Refusal, TokenUnavailable
from proxy.forward.admission import Admission
from proxy.forward.answers import answer
from proxy.forward.body import Piece
from proxy.forward.connection import Failure, UpstreamConnection
from proxy.forward.door import Caller
from proxy.forward.http1 import RequestHead, ResponseHead
from proxy.forward.pace import NO_BODY, Pace
from proxy.forward.queue import Line
from proxy.forward.record import CALLER_GONE, Record
from proxy.forward.reply import Reply
from proxy.forward.tunnel import Tunnel
from proxy.forward.upload import Upload
from proxy.tasks import spawn
from proxy.tokens.interface import AccessToken

if TYPE_CHECKING:
    from proxy.forward.listener import Listener

REPEATABLE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))
"""Methods that may be sent again on a new connection (RFC 9110 §9.2.2)."""


class Phase(Enum):
    """How far an exchange has come."""

    TOKEN = "waiting for a token"  # noqa: S105  (a phase, not a password)
    CONNECTION = "waiting for a connection"
    ASKED = "asked"
    HELD = "held"
    ANSWERING = "answering"
    DONE = "done"


# Before Python 3.12 an enumeration's member is looked up slowly, and these are on the way of each request.
TOKEN, CONNECTION, ASKED, HELD, ANSWERING, DONE = Phase
AGAIN, KNOWN, WHOLE, PARTIAL = Line


class Exchange:
    """See the module's text."""

    __slots__ = (
        "_admission",
        "_caller",
        "_connection",
        "_head",
        "_listener",
        "_now",
        "_pace",
        "_phase",
        "_record",
        "_replaced",
        "_replayed",
        "_reply",
        "_slow_since",
        "_task",
        "_token",
        "_tunnel",
        "_upload",
        "_upload_blocked",
        "_upstream",
        "deadline",
    )

    def __init__(
        self,
        caller: Caller,
        listener: Listener,
        head: RequestHead,
        admission: Admission,
        record: Record,
        *,
        bodiless: bool,
    ) -> None:
        upstream = admission.upstream
        self._caller = caller
        self._listener = listener
        self._now = listener.loop.time
        self._head = head
        self._admission = admission
        self._upstream = upstream
        self._record = record
        self._phase = TOKEN
        self._upload = Upload(chunked=head.length is None, done=bodiless, keep_limit=upstream.settings.replay_limit)
        self._upload_blocked = False
        self._pace = NO_BODY if bodiless else Pace(upstream.body_seconds)
        # The attempt under way.
        self._token: AccessToken
        self._connection: UpstreamConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._replayed = False
        self._replaced = False
        # The answer.
        self._tunnel: Tunnel | None = None
        self._reply = Reply(caller, head)
        self._slow_since = inf
        """Since when the caller has not taken the answer as fast as it came."""
        self.deadline = inf

    def __repr__(self) -> str:
        return f"<exchange {self._phase.value}>"

    # The beginning: a token, a connection.

    def start(self) -> None:
        """Go as far as is possible without waiting."""
        self._listener.exchanges.watch(self)
        self._take_token()

    def _take_token(self) -> None:
        upstream = self._upstream
        token = upstream.provider.current()
        if token is not None:
            self._token = token
            self._take_connection()
        elif upstream.token_waiters >= upstream.most_waiting:
            self._refuse_to_wait("token", upstream.token_waiters)
        else:
            self._phase = TOKEN
            self.deadline = inf
            upstream.token_waiters += 1
            self._task = spawn(self._wait_for_token(), name="wait for a token")
            self._task.add_done_callback(upstream.token_wait_ended)

    async def _wait_for_token(self) -> None:
        try:
            self._token = await self._upstream.provider.wait(self._upstream.settings.auth.wait)
        except TokenUnavailable as error:
            self._refuse(Refusal("token_unavailable", error.detail, retry_after=error.retry_after))
        else:
            self._take_connection()

    def _take_connection(self, *, again: bool = False) -> None:
        connection = None if again else self._upstream.pool.take()
        if connection is not None:
            self._ask(connection)
            return
        pool = self._upstream.pool
        line = AGAIN if again else KNOWN if self._caller.known else WHOLE if self._upload.done else PARTIAL
        if pool.waiting >= self._upstream.most_waiting and not pool.displace(line):
            self._refuse_to_wait("connection to the upstream", pool.waiting)
            return
        self._phase = CONNECTION
        self.deadline = self._now() + self._upstream.settings.timeouts.connect
        pool.wait(self, line)

    def _refuse_to_wait(self, what: str, others: int) -> None:
        """Beyond a bound it is better to say so at once than to let a queue grow that nobody's patience outlasts."""
        self._refuse(Refusal("overloaded", f"{others} requests wait for a {what} already", retry_after=1))

    def connected(self, connection: UpstreamConnection) -> None:
        """The pool has a connection for this request."""
        token = self._upstream.provider.current()
        if token is None:  # It expired while the request waited here.
            # Later, not from here: the next in the queue would do the same, and so on, each inside the last one's call.
            self._listener.loop.call_soon(self._upstream.pool.release, connection)
            self._take_token()
            return
        self._token = token
        self._ask(connection)

    def not_connected(self, refusal: Refusal) -> None:
        """No connection can be made."""
        self._refuse(refusal)

    # The request goes out.

    def _ask(self, connection: UpstreamConnection) -> None:
        upstream, upload = self._upstream, self._upload
        self._phase = ASKED
        self._connection = connection
        self._upload_blocked = False
        self.deadline = self._now() + upstream.idle_seconds
        outgoing = self._admission.outgoing.reveal() + upstream.head_end(self._token).reveal()
        connection.begin(self, self._head.method, outgoing)
        upload.send_kept(connection)
        if upload.done:
            self._request_sent()
        elif not self._upload_blocked:
            self._pace.begin(self._now(), upload.size)
            self._wait_for_body()
            self._caller.read_body()

    def _wait_for_body(self) -> None:
        """Until the upstream answers a byte now and then is not enough: then its connection waits for this alone."""
        idle = self._now() + self._upstream.idle_seconds
        self.deadline = min(idle, self._pace.due) if self._phase is ASKED else idle

    def _request_sent(self) -> None:
        if self._connection is not None:
            self._upload.send_end(self._connection)
            if self._phase is ASKED:
                self.deadline = self._now() + self._upstream.response_seconds

    def body_pieces(self, pieces: list[Piece]) -> None:
        self._upload.take(pieces)
        limit = self._upstream.settings.max_body
        if limit and self._upload.size > limit:
            self._fail(Refusal("body_too_large", f"the body is larger than max_body, {int(limit)} bytes"))
        elif self._connection is not None:
            self._upload.send(self._connection, pieces)
            if not self._upload_blocked:
                self._pace.came(self._now(), self._upload.size)
                self._wait_for_body()

    def body_end(self) -> None:
        self._upload.done = True
        self._pace.stop()
        self._request_sent()

    def body_malformed(self, why: str) -> None:
        self._fail(Refusal("bad_request", why))

    # The answer comes in.

    def interim_head(self, head: ResponseHead) -> None:
        self._reply.interim(head, self._to_local)
        if not self._caller.writable:
            self.caller_slow()  # There may be any number of them.

    def final_head(self, head: ResponseHead) -> None:
        if head.status != 401:
            self._token_accepted()
        elif self._upstream.settings.retry_on_401 and self._upload.repeatable and not self._replayed:
            self._phase = HELD
            self.deadline = inf
            self._caller.pause_body()
            self._task = spawn(self._recover(head), name="renew a refused token")
            return
        else:
            _ = spawn(self._renew_aside(), name="renew a refused token")
        self._answer(head)

    def _token_accepted(self) -> None:
        if not self._token.proven:
            self._upstream.provider.accepted(self._token)

    async def _renew(self) -> AccessToken | None:
        """Have the refused token renewed; None where the 401 is to go to the caller, and that is counted."""
        upstream = self._upstream
        recovery = await upstream.provider.refused(self._token.number, upstream.settings.auth.wait)
        if recovery.token is None:
            # The second 401 of one request is what begins a cool-down; those that come within it are the ones to count.
            untouched = recovery.outcome == "cooling_down" and not self._replayed
            outcome = "cooling_down" if untouched else "passed_on"
            upstream.stats.unauthorized[outcome] += 1
        return recovery.token

    async def _renew_aside(self) -> None:
        """Renew the token without keeping an answer waiting that is the caller's in any case."""
        if await self._renew() is not None:
            self._upstream.stats.unauthorized["passed_on"] += 1

    async def _recover(self, head: ResponseHead) -> None:
        """Renew the token, then ask again; without a new one the 401 goes to the caller."""
        token = await self._renew()
        if token is None:
            self._answer(head)
            return
        self._upstream.stats.unauthorized["replayed"] += 1
        self._replayed = True
        self._token = token
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.discard()
        self._take_connection()

    def whole_response(self, head: ResponseHead, content: bytes) -> None:
        self._connection = None
        self._token_accepted()
        if not self._upload.done:
            self._reply.keep = False  # The rest of the request stays unread, which ends the connection: say so.
        self._begin_answer(head)
        self._reply.whole(content)
        self._finish(served=True)

    def _answer(self, head: ResponseHead) -> None:
        """Pass the final head on, and the body as it comes."""
        connection = self._connection
        if connection is None:
            return
        self._begin_answer(head)
        self.deadline = self._now() + self._upstream.idle_seconds
        if not self._upload.done and not self._upload_blocked:
            self._caller.resume_body()
        connection.read_body()
        self._reply.flush()  # Where nothing of the body is here yet, the head does not wait for it.
        if self._connection is connection and not self._caller.writable:
            self.caller_slow()

    def _begin_answer(self, head: ResponseHead) -> None:
        self._phase = ANSWERING
        self._reply.begin(head, self._to_local, closing=self._listener.closing)

    def response_pieces(self, pieces: list[Piece]) -> None:
        self.deadline = self._now() + self._upstream.idle_seconds
        self._reply.pieces(pieces)

    def response_end(self) -> None:
        self._connection = None
        self._reply.end()
        self._finish(served=True)

    def _to_local(self, location: bytes) -> bytes:
        authority = self._admission.authority
        return self._upstream.to_local(location, self._listener.authority if authority is None else authority)

    def switched(self, head: ResponseHead) -> None:
        connection = self._connection
        asked_for = self._admission.websocket and head.named.get(b"upgrade", b"").lower() == b"websocket"
        if connection is None or not asked_for:
            self._fail(Refusal("upstream_protocol", "the upstream switched to a protocol that was not asked for"))
            return
        self._token_accepted()
        self._reply.status = 101
        self._reply.interim(head, self._to_local)
        exchanges = self._listener.exchanges
        tunnel = Tunnel(
            self._caller,
            connection,
            loop=self._listener.loop,
            idle_seconds=self._upstream.idle_seconds,
            ended=self._tunnel_ended,
        )
        self._tunnel = tunnel
        exchanges.forget(self)
        exchanges.watch(tunnel)
        connection.serve(tunnel)
        self._caller.begin_tunnel(tunnel)
        if self._listener.leaving:
            tunnel.leave()

    def _tunnel_ended(self) -> None:
        if self._tunnel is not None:
            self._listener.exchanges.forget(self._tunnel)
        self._end(self._reply.status)

    # What goes wrong, and what takes too long.

    def upstream_failed(self, failure: Failure, reason: str) -> None:
        connection, self._connection = self._connection, None
        reused = connection is not None and connection.exchanges > 1
        lost = failure in (Failure.UNANSWERED, Failure.REFUSED)
        if self._phase is ASKED and reused and lost and self._may_repeat():
            self._replaced = True
            self._caller.pause_body()
            self._take_connection(again=True)
            return
        match failure:
            case Failure.REFUSED:
                refusal = Refusal("upstream_unreachable", f"{self._upstream.settings.url.origin}: {reason}")
            case Failure.MALFORMED:
                refusal = Refusal("upstream_protocol", reason)
            case _:
                refusal = Refusal("upstream_protocol", f"{reason} before its answer was whole")
        self._fail(refusal)

    def _may_repeat(self) -> bool:
        return not self._replaced and self._upload.repeatable and self._head.method in REPEATABLE

    def on_deadline(self) -> None:
        """Too long without the step that this phase waits for."""
        self.deadline = inf
        seconds, pool = float(self._upstream.settings.timeouts.connect), self._upstream.pool
        match self._phase:
            case Phase.CONNECTION if pool.cannot_connect:
                why = f"{self._upstream.settings.url.origin}: no connection within {seconds:g} s{self._upstream.by_way}"
                refusal = Refusal("upstream_unreachable", why)
            case Phase.CONNECTION:
                why = f"all {pool.busy} connections to the upstream were busy for {seconds:g} s"
                refusal = Refusal("overloaded", why, retry_after=1)
            case Phase.ASKED if not self._upload.done and not self._upload_blocked:
                refusal = Refusal("bad_request", "the request body did not arrive in time")
            case Phase.ASKED if not self._upload.done:
                refusal = Refusal("upstream_timeout", "the upstream did not take the request in time")
            case Phase.ASKED:
                seconds = self._upstream.response_seconds
                refusal = Refusal("upstream_timeout", f"the upstream did not answer within {seconds:g} s")
            case _:
                refusal = Refusal("upstream_timeout", "no byte of the answer moved in time")
        self._fail(refusal)

    @property
    def stalled_since(self) -> float:
        """Since when only the caller keeps the upstream's connection waiting; infinity: it does not."""
        if self._phase is ASKED:
            return min(self._pace.since, self._slow_since)
        return self._slow_since if self._phase is ANSWERING else inf

    def give_way(self) -> None:
        why = "its caller kept a connection to the upstream waiting that other requests waited for"
        self._fail(Refusal("overloaded", why, retry_after=1))

    def upstream_slow(self) -> None:
        self._upload_blocked = True
        self._pace.stop()
        self.deadline = self._now() + self._upstream.idle_seconds
        self._caller.pause_body()

    def upstream_ready(self) -> None:
        self._upload_blocked = False
        if self._phase in (ASKED, ANSWERING) and not self._upload.done:
            self._pace.begin(self._now(), self._upload.size)
            self._wait_for_body()
            self._caller.resume_body()

    def caller_slow(self) -> None:
        if self._connection is not None and self._phase in (ASKED, ANSWERING):
            self._slow_since = min(self._slow_since, self._now())
            self._connection.pause_reading()

    def caller_ready(self) -> None:
        self._slow_since = inf
        if self._connection is not None and self._phase in (ASKED, ANSWERING):
            if self._phase is ANSWERING:
                self.deadline = self._now() + self._upstream.idle_seconds
            self._connection.resume_reading()

    def caller_gone(self) -> None:
        self._drop_connection()
        self._end(self._reply.status or CALLER_GONE)

    def leave(self) -> None:
        """HTTP/1.1 cannot ask for the end of an answer that is under way: it may take its time, within grace."""

    def cut_off(self) -> None:
        self._drop_connection()
        self._end(self._reply.status or CALLER_GONE)
        self._caller.cut(reset=self._reply.only_reset_shows)

    def _fail(self, refusal: Refusal) -> None:
        """Say so to the caller: by an answer while that is possible, else by a cut."""
        if self._phase is ANSWERING:
            self._drop_connection()
            self._record.error(refusal.name)
            self._reply.flush()
            self._end(self._reply.status)
            self._caller.cut(reset=self._reply.only_reset_shows)
        elif self._phase is not DONE:
            self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in the sidecar's own name; nothing of another answer has gone out."""
        self._drop_connection()
        if refusal.name == "bad_request" or not self._upload.done or self._listener.closing:
            self._reply.keep = False
        self._record.error(refusal.name)
        with_body = self._head.method != b"HEAD"
        self._caller.write(answer(refusal, upstream=self._record.name, close=not self._reply.keep, with_body=with_body))
        self._reply.status = KINDS[refusal.name].status
        self._finish()

    # The end.

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _finish(self, *, served: bool = False) -> None:
        self._end(self._reply.status)
        self._caller.finished(keep=self._reply.keep, served=served)

    def _end(self, status: int) -> None:
        """Count, and let go of everything that waits."""
        if self._phase is DONE:
            return
        if self._phase is CONNECTION:
            self._upstream.pool.stop_waiting(self)
        self._phase = DONE
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._listener.exchanges.forget(self)
        self._record.end(stopwatch(), status, access=self._listener.access)
