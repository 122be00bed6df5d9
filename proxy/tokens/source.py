"""The token source: keeps one token in life by doing what `proxy.tokens.rules` decides.

It must never fetch twice at a time, never stop renewing because of an answer or an error, and never let a
request that goes away cancel a fetch. It runs on one event loop and takes no lock: between two awaits nothing
else runs. The facts it keeps are those of a `Snapshot`; after each change of one it looks at the rules again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from random import random
from typing import TYPE_CHECKING, Protocol

from proxy.clock import Cancellable, Clock, Reading, SystemClock
from proxy.config.model import Auth, Proxy, Value
from proxy.errors import TokenError, TokenUnavailable
from proxy.explanations import with_remedy
from proxy.stats import TokenStats
from proxy.tasks import spawn
from proxy.tokens.backoff import Backoff
from proxy.tokens.credentials import Credentials
from proxy.tokens.endpoint import Grant, Obtained
from proxy.tokens.identity import lasting_identity
from proxy.tokens.interface import AccessToken, Recovery
from proxy.tokens.journal import Journal
from proxy.tokens.news import News
from proxy.tokens.refusals import Refusals, Verdict
from proxy.tokens.rules import (
    Decision,
    Event,
    Snapshot,
    State,
    Token,
    decide,
    later,
    make_token,
    reached,
    renewal_age,
    seconds_until,
    state_of,
)
from proxy.tokens.status import LastError, Origin, TokenStatus

if TYPE_CHECKING:
    from proxy.tokens.shared.rules import Held
    from proxy.tokens.shared.sharing import Sharing

STUCK = 30.0
"""Seconds past its time after which a fetch that did not start, or did not end, counts as a fault of ours."""
_AFTER = 0.001
"""Seconds by which a timer is set late: one that fires a moment early would only have to be set again."""
_NEVER = -math.inf


class Obtainer(Protocol):
    """One client at a token endpoint, as `proxy.tokens.endpoint.Endpoint` is."""

    async def obtain(self, secret: Value) -> Grant:
        """One call. Raises TokenError."""


Connect = Callable[[Auth, str | None, Proxy | None, Clock], Obtainer]
"""Makes an Obtainer from the settings, a CA file to trust in addition, the egress proxy, and the clock."""


def _connect(auth: Auth, extra_ca_file: str | None, proxy: Proxy | None, clock: Clock) -> Obtainer:
    from proxy.tokens.endpoint import Endpoint  # noqa: PLC0415  (as the next line)
    from proxy.tokens.http import HttpTransport  # noqa: PLC0415  (aiohttp: who brings another Connect does not need it)

    return Endpoint(auth, HttpTransport(auth, extra_ca_file=extra_ca_file, proxy=proxy), clock)


class TokenSource:
    """A TokenProvider for one client at one token endpoint; see `proxy.tokens.identity` for who may share it."""

    def __init__(
        self,
        auth: Auth,
        names: tuple[str, ...],
        *,
        extra_ca_file: str | None = None,
        proxy: Proxy | None = None,
        clock: Clock | None = None,
        draw: Callable[[], float] = random,
        connect: Connect = _connect,
        sharing: Sharing | None = None,
    ) -> None:
        """`names` are the upstreams that share the source, for the log; `draw` gives random numbers from 0 up to 1.

        `sharing`, where there is one, is asked for a token before the endpoint is.
        """
        self.stats = TokenStats()
        self._clock = clock or SystemClock()
        self._read = self._clock.read
        self._draw = draw
        self._connect = connect
        self._auth = auth
        self._extra_ca_file = extra_ca_file
        self._proxy = proxy
        self._endpoint = connect(auth, extra_ca_file, proxy, self._clock)
        self._credentials = Credentials(auth.client_secret)
        self._journal = Journal(names)
        self._sharing = sharing
        self._origin: Origin = "endpoint"
        self._news = News(self._clock)
        self._refusals = Refusals()

        # What a Snapshot is made of.
        self._token: Token | None = None
        self._fetch: asyncio.Task[None] | None = None
        self._retry_at: Reading | None = None
        self._asked = self._read()

        # What `current` needs, and nothing else: until these moments there is nothing to decide.
        self._access: AccessToken | None = None
        self._quiet_monotonic = _NEVER
        self._quiet_wall = _NEVER

        self._backoff = self._hearing = Backoff()
        self._call_at: Reading | None = None
        """After a failed call, until a token comes: when the next one is due. Before that the cache may have one."""
        self._last_error: LastError | None = None
        self._mended = False
        """Credentials or settings changed while a fetch was running: should it fail, its failure tells nothing."""
        self._timer: Cancellable | None = None
        self._until: Reading | None = None
        self._began = self._asked
        """When the last fetch was started."""
        self._ends_rest = False
        """It was started by a request after a rest in which the token ran out."""
        self._overdue_since: float | None = None
        self._closed = False

    # ------------------------------------------------------------------------------------- the way of a request

    def current(self) -> AccessToken | None:
        """See TokenProvider. Called for each request: two comparisons while there is nothing to decide."""
        monotonic, wall = self._asked = self._read()
        if monotonic < self._quiet_monotonic and wall < self._quiet_wall:
            return self._access
        return self._look(Event.REQUEST, self._asked)

    async def wait(self, seconds: float) -> AccessToken:
        """See TokenProvider. Raises TokenUnavailable; at once when the next attempt is due after `seconds`."""
        deadline = self._read().monotonic + seconds
        self.stats.waiters += 1
        try:
            while True:
                token = self.current()
                if token is not None:
                    return token
                now = self._read()
                remaining = deadline - now.monotonic
                if self._closed or remaining <= 0 or self._next_attempt(now) > remaining:
                    raise self._unavailable(now)
                await self._news.listen(remaining + _AFTER)
        finally:
            self.stats.waiters -= 1

    async def refused(self, number: int, seconds: float) -> Recovery:
        """See TokenProvider, and `proxy.tokens.refusals` for the rules."""
        now = self._asked = self._read()
        match self._refusals.judge(number, self._access, now, pausing=self._next_attempt(now) > 0):
            case Verdict.TAKE:
                try:
                    return Recovery("renewed", await self.wait(seconds))
                except TokenUnavailable:
                    return Recovery("failed", None)
            case Verdict.RENEW:
                return await self._renew(number, seconds, now)
            case Verdict.FAIL:
                return Recovery("failed", None)
            case Verdict.COOL_DOWN:
                self._journal.did_not_help(number)
        return Recovery("cooling_down", None)

    def accepted(self, token: AccessToken) -> None:
        """See TokenProvider."""
        token.proven = True

    async def _renew(self, number: int, seconds: float, now: Reading) -> Recovery:
        """One renewal because of a 401; or the one that is running, whatever it was started for."""
        deadline = now.monotonic + seconds
        if self._fetch is None and not self._closed:
            self._refusals.renewing(now)
            self._journal.refused(number)
        self._refusals.on_trial = True
        self._look(Event.REFUSED, now)
        while self._holds(number) and self._fetch is not None:
            remaining = deadline - self._read().monotonic
            if remaining <= 0:
                break
            await self._news.listen(remaining + _AFTER)
        token = None if self._holds(number) else self.current()
        return Recovery("failed" if token is None else "renewed", token)

    def _holds(self, number: int) -> bool:
        return self._access is not None and self._access.number == number

    # ------------------------------------------------------------------------------------------------ lifecycle

    def start(self) -> None:
        """Fetch the first token. Needs a running event loop."""
        self._asked = self._read()
        self._look(Event.TICK, self._asked)

    def poll(self) -> None:
        """Decide again. To be called every second or so: a timer stands still while the machine sleeps."""
        self._look(Event.TICK, self._read())

    def alive(self) -> bool:
        """For `/livez`: False when a fetch is due and does not start, or does not end.

        That is a fault of this program, whatever the token endpoint does: a restart may mend it.
        """
        now = self._read()
        if self._fetch is not None:
            longest = len(self._credentials.order()) * self._auth.request_timeout + STUCK
            if self._sharing is not None:
                longest += self._sharing.longest
            return now.monotonic - self._began.monotonic <= longest
        if self._closed or not self._decide(now, Event.TICK).fetch:
            self._overdue_since = None
            return True
        # A machine that just woke up is overdue as well, until the next poll.
        if self._overdue_since is None:
            self._overdue_since = now.monotonic
        return now.monotonic - self._overdue_since <= STUCK

    def update(
        self,
        auth: Auth,
        names: tuple[str, ...],
        *,
        extra_ca_file: str | None = None,
        proxy: Proxy | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        """Take over what a reload changed; the token stays. Raises ValueError for another client.

        New secrets, or other settings of the connection, are tried at once when the last call failed. What
        concerns the renewal time holds from the next token on.
        """
        if lasting_identity(auth) != lasting_identity(self._auth):
            raise ValueError("another client needs a token source of its own")
        connection = (self._auth.tls, self._auth.request_timeout, self._extra_ca_file, self._proxy)
        mended = connection != (auth.tls, auth.request_timeout, extra_ca_file, proxy)
        self._auth, self._extra_ca_file, self._proxy, self._journal = auth, extra_ca_file, proxy, Journal(names)
        self._endpoint = self._connect(auth, extra_ca_file, proxy, self._clock)
        if sharing is not None and self._sharing is not None:
            sharing.follow(self._sharing)
        self._sharing = sharing
        if self._credentials.replace(auth.client_secret):
            self._journal.secret_changed()
            mended = True
        if mended:
            self._mended = self._fetch is not None
            self._backoff, self._call_at = Backoff(), None
        self._look(Event.MENDED if mended else Event.TICK, self._read())

    async def close(self) -> None:
        """End all that runs. Who waits gets TokenUnavailable; nothing is fetched any more."""
        self._closed = True
        self._quiet_monotonic = self._quiet_wall = _NEVER
        self._set_timer(None, self._read())
        fetch = self._fetch
        if fetch is not None:
            fetch.cancel()
            await asyncio.wait([fetch])
        self._news.tell()

    def status(self) -> TokenStatus:
        """This moment, for people. Reads only."""
        now, token = self._read(), self._token
        decision = self._decide(now, Event.TICK)
        next_attempt: float | None = None
        if self._fetch is None and not decision.at_rest and not self._closed:
            due = self._retry_at or (None if token is None else token.renew_at)
            next_attempt = now.wall if due is None else max(due.wall, now.wall)
        return TokenStatus(
            state=decision.state.value,
            usable=decision.usable,
            at_rest=decision.at_rest,
            token_id=None if token is None else token.access.token_id,
            number=0 if token is None else token.access.number,
            obtained_at=None if token is None else token.obtained.wall,
            expires_at=None if token is None else token.expires_at,
            renew_at=None if token is None else token.renew_at.wall,
            lifetime=None if token is None else token.life,
            scopes=self._auth.scopes if token is None else token.scopes,
            scopes_requested=self._auth.scopes,
            last_error=self._last_error,
            next_attempt_at=next_attempt,
            fetching=self._fetch is not None,
            consecutive_failures=self.stats.consecutive_failures,
            origin=None if token is None else self._origin,
            secret=self._credentials.in_use,
            secrets=self._credentials.uses(),
            ends_rest=self._ends_rest and self._fetch is not None,
        )

    def __repr__(self) -> str:
        return f"<token source of {self._journal.label}, {state_of(self._token, self._read())}>"

    # ----------------------------------------------------------------------------------- deciding, and following

    def _decide(self, now: Reading, event: Event) -> Decision:
        snapshot = Snapshot(
            token=self._token,
            fetching=self._fetch is not None,
            retry_at=self._retry_at,
            asked=self._asked,
            waiters=self.stats.waiters,
            idle_after=self._auth.idle_after,
        )
        return decide(snapshot, now, event)

    def _look(self, event: Event, now: Reading) -> AccessToken | None:
        """Ask the rules, and do what they say. The token, where a request may take it."""
        decision = self._decide(now, event)
        if self._closed:
            return self._access if decision.usable else None
        if decision.fetch:
            self._began, self._overdue_since = now, None
            rests = self._auth.idle_after > 0 and decision.state is State.EXPIRED
            self._ends_rest = rests and event is Event.REQUEST and self._retry_at is None
            self._fetch = spawn(self._run(now), name=f"token-fetch {self._journal.label}")
            self._fetch.add_done_callback(self._ended)
            decision = self._decide(now, event)
        if decision.usable and not decision.at_rest and decision.until is not None:
            self._quiet_monotonic, self._quiet_wall = decision.until
        else:
            self._quiet_monotonic = self._quiet_wall = _NEVER
        self._set_timer(decision.until, now)
        return self._access if decision.usable else None

    def _set_timer(self, until: Reading | None, now: Reading) -> None:
        if until == self._until:
            return
        self._until = until
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if until is not None:
            self._timer = self._clock.call_later(seconds_until(until, now) + _AFTER, self._tick)

    def _tick(self) -> None:
        self._timer = self._until = None
        self._look(Event.TICK, self._read())

    def _next_attempt(self, now: Reading) -> float:
        """Seconds until the next fetch may begin; 0 while one is running or none is held back."""
        if self._fetch is not None or self._retry_at is None:
            return 0.0
        return seconds_until(self._retry_at, now)

    def _unavailable(self, now: Reading) -> TokenUnavailable:
        error = self._last_error
        detail = "timeout: the token endpoint has not answered yet"
        if self._closed:
            detail = "the sidecar is shutting down"
        elif error is not None and self.stats.consecutive_failures:
            detail = with_remedy(error.reason, error.detail)
        return TokenUnavailable(detail, retry_after=max(1.0, self._next_attempt(now)))

    # ------------------------------------------------------------------------------------------------- fetching

    async def _run(self, began: Reading) -> None:
        """One fetch. Whatever happens in it becomes a success or a failure."""
        self._mended = False
        try:
            if self._sharing is None:
                self._succeeded(await self._call())
            else:
                self._succeeded(await self._sharing.obtain(self._call, self._held, self._too_early(began)))
        except TokenError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  (no exception ends renewal; the journal has its type)
            self._journal.broke(error)
            self._failed(TokenError("connection", f"the call of the token endpoint broke ({type(error).__name__})"))

    def _ended(self, fetch: asyncio.Task[None]) -> None:
        self._fetch = None
        # A cancelled fetch means that the event loop ends, or the source does: nothing new is begun then. Were it
        # otherwise, the next poll would see to it.
        if not fetch.cancelled():
            # What was mended after the failure, in the moment between that and this, has not been tried either.
            self._look(Event.MENDED if self._mended else Event.TICK, self._read())
        self._news.tell()

    def _held(self) -> Held | None:
        """The token that there is, as `proxy.tokens.shared` looks at it."""
        from proxy.tokens.shared.rules import Held  # noqa: PLC0415  (only where tokens are shared)

        token = self._token
        if token is None:
            return None
        usable = state_of(token, self._read()) is not State.EXPIRED
        return Held(token.access, token.expires_at, usable=usable, refused=self._refusals.on_trial)

    async def _call(self) -> Obtained:
        """Call the endpoint, and again with the other secret where it does not accept the first one."""
        began = self._read()
        try:
            return await self._ask()
        finally:
            self.stats.duration.observe(self._read().monotonic - began.monotonic)

    async def _ask(self) -> Obtained:
        secrets = self._credentials.order()
        for attempt, secret in enumerate(secrets, start=1):
            sent = self._read()
            try:
                grant = await self._endpoint.obtain(secret)
            except TokenError as error:
                if error.reason != "invalid_client":
                    raise
                self.stats.refused_secrets += 1
                self._credentials.refused(secret, self._read().wall)
                if attempt == len(secrets):
                    raise
            else:
                if self._credentials.worked(secret, self._read().wall):
                    self._journal.secret_switched(self._credentials.in_use, after_refusal=attempt > 1)
                return Obtained(grant, sent, secret)
        raise TokenError("credentials", "there is no client secret")

    def _succeeded(self, obtained: Obtained) -> None:
        now, auth = self._read(), self._auth
        grant, sent = obtained.grant, obtained.sent
        access = AccessToken(grant.token.reveal(), 1 if self._access is None else self._access.number + 1)
        renew_after = renewal_age(grant.life, auth.refresh_at, auth.refresh_jitter, self._draw())
        token = make_token(access, sent, grant.life, grant.scopes, renew_after)
        if reached(token.usable_until, now):
            # A failure, for the sake of the pause: such tokens could be had without end, and without use.
            raise TokenError("timeout", f"the token's life of {grant.life:g} s was over before it arrived")
        access.proven = not self._refusals.obtained(now)
        self._token, self._access = token, access
        self._retry_at = self._call_at = None
        self._backoff = self._hearing = Backoff()
        self._origin = "cache" if obtained.secret is None else "endpoint"
        self.stats.successes += self._origin == "endpoint"
        self.stats.consecutive_failures = 0
        self.stats.last_success_at = now.wall
        self._journal.obtained(token, self._origin)

    def _pause(self, error: TokenError, now: Reading) -> float:
        """Seconds until the next fetch, which may be only a look into the shared cache: the next call has its time."""
        pause = math.inf
        if not error.heard:
            self._backoff = self._backoff.after(error.reason)
            pause = self._backoff.pause(self._draw(), error.retry_after)
            self._call_at = later(now, pause)
        if self._sharing is not None:
            self._hearing = self._hearing.hearing()
            pause = min(pause, self._hearing.pause(self._draw(), None))
        return pause

    def _too_early(self, now: Reading) -> TokenError | None:
        """What the last call failed with, while the pause after that lasts."""
        if self._call_at is None or self._last_error is None or reached(self._call_at, now):
            return None
        return TokenError(self._last_error.reason, self._last_error.detail, heard=True)

    def _failed(self, error: TokenError) -> None:
        now = self._read()
        pause = 0.0
        if not self._mended:
            pause = self._pause(error, now)
        self._retry_at = later(now, pause)
        self._last_error = LastError(error.reason, error.detail, now.wall)
        self.stats.failures[error.reason] += not error.heard
        self.stats.consecutive_failures += 1
        consecutive = self.stats.consecutive_failures
        if consecutive == 1 or not error.heard:
            self._journal.failed(error, consecutive=consecutive, pause=pause, state=state_of(self._token, now))
