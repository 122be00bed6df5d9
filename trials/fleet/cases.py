"""Which cases there are, and what of each is shown: the tables of docs/scaling.md as data. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from proxy.config.model import Duration
from proxy.tokens.rules import renewal_age
from trials.fleet import cells
from trials.fleet.callers import DAY, Daily, Seldom
from trials.fleet.cognito import Neighbour, Outage, Span, Trouble
from trials.fleet.ledger import Outcome
from trials.fleet.plans import HOUR, Plan, at_once, day_and_night, jobs, restarted_daily, steady, together
from trials.fleet.world import SETTINGS, Case, run

SIZES: Final = (10, 100, 1_000, 10_000)
*SMALLER, LARGEST = SIZES
MONTH: Final = 30 * DAY
LIVES: Final = {"5 min": 300.0, "1 h": HOUR, "24 h": DAY}
BEFORE: Final = 300.0
"""Seconds that are looked at before an outage begins."""
OUTAGE: Final = Span(BEFORE, BEFORE + 1800)
CACHE_OUTAGE: Final = Span(BEFORE, BEFORE + HOUR)
SQUEEZE: Final = Neighbour(Span(BEFORE, BEFORE + HOUR), leaves=5)


class Row(NamedTuple):
    """A line of a table: its cases, and its cells from what they came to."""

    title: str
    cases: Sequence[Case]
    cells: Callable[[Sequence[Outcome]], list[str]]

    @property
    def events(self) -> float:
        """About how many renewals it takes to find out."""
        return sum(case.pods * (case.warm_up + case.seconds) / case.life for case in self.cases)


class Section(NamedTuple):
    """A table."""

    key: str
    """Its markers in the page."""
    header: Sequence[str]
    rows: Sequence[Row]


def _set(case: Case, **settings: Any) -> Case:
    """The same with other settings of `auth`."""
    return case._replace(auth=msgspec.structs.replace(case.auth, **settings))


def _settled(life: float, refresh_at: float = SETTINGS.refresh_at) -> float:
    """Seconds of a warm-up, an hour or more, after which the pods' own tokens are of all ages alike.

    Pods start evenly over it, so that it has to be whole renewal periods: after one and a third of them a token would
    be twice as likely to be young, and an outage would find fewer that are about to end.
    """
    period = refresh_at * life
    return period * math.ceil(HOUR / period)


def _both(case: Case) -> list[Case]:
    """Each for itself, and with a shared cache."""
    return [case, case._replace(name=f"{case.name}, cache", cache=())]


def _month(name: str, plan: Plan) -> list[Row]:
    rows = []
    for pods in SIZES:
        case = Case(f"{name}, {pods}", pods, HOUR, MONTH, warm_up=DAY, plan=plan)
        rows.append(Row(f"{name}, {pods:,}", _both(case), cells.month))
    return rows


def _start(title: str, pods: int, within: float, **changes: Any) -> Row:
    case = Case(f"start, {title}", pods, HOUR, 900.0, plan=at_once(within), by_second=True)
    return Row(title, [case._replace(**changes)], cells.start)


def _outage(
    words: str, life: float, *, silent: bool = False, pods: int = LARGEST, refresh_at: float = SETTINGS.refresh_at
) -> list[Row]:
    """The fleet's tokens end one by one without a cache, and all together with one: then the worst moment is taken,

    the last second before the first renewal.
    """
    trouble = Trouble(outages=[Outage(OUTAGE, silent)])
    case = Case(f"outage, {words}", pods, life, 1.5 * HOUR, trouble=trouble, by_second=True)
    case = _set(case, refresh_at=refresh_at)
    first = renewal_age(life, refresh_at, case.auth.refresh_jitter, 0.0)
    rounds = 1 + int(BEFORE / first)
    alone = case._replace(warm_up=_settled(life, refresh_at))
    shared = case._replace(name=f"{case.name}, cache", warm_up=rounds * first - 1 - BEFORE, plan=together, cache=())
    return [
        Row(f"{words}, alone", [alone], cells.outage(OUTAGE)),
        Row(f"{words}, cache", [shared], cells.outage(OUTAGE)),
    ]


def _without_the_cache(words: str, life: float, pods: int = LARGEST) -> Row:
    case = Case(f"cache outage, {words}", pods, life, 2 * HOUR, warm_up=max(HOUR, life), by_second=True)
    return Row(words, [case._replace(cache=[CACHE_OUTAGE])], cells.outage(CACHE_OUTAGE))


def _squeezed(words: str, life: float) -> list[Row]:
    case = Case(f"throttled, {words}", LARGEST, life, 2 * HOUR, warm_up=_settled(life), by_second=True)
    pair = _both(case._replace(trouble=Trouble(neighbours=[SQUEEZE])))
    return [
        Row(f"{words}, {way}", [one], cells.outage(SQUEEZE.span))
        for way, one in zip(("alone", "cache"), pair, strict=True)
    ]


def _setting(words: str, life: float, refresh_at: float) -> Row:
    case = Case(f"settings, {words}, {refresh_at}", 10, life, MONTH, warm_up=DAY)
    auth = case.auth
    spare = cells.spare(life, refresh_at, auth.refresh_jitter)
    return Row(f"{words}, {refresh_at}", [_set(case, refresh_at=refresh_at)], cells.setting(spare))


def _idle(words: str, **changes: Any) -> Row:
    always = Case(f"idle, {words}", 10, HOUR, MONTH, warm_up=DAY)._replace(**changes)
    resting = _set(always._replace(name=f"{always.name}, resting"), idle_after=Duration(900))
    return Row(words, [always, resting], cells.idle)


SECTIONS: Final[Sequence[Section]] = (
    Section(
        "month",
        cells.MONTH,
        [
            *_month("nothing special", steady),
            *_month("restarted daily", restarted_daily),
            *_month("day and night", day_and_night),
        ],
    ),
    Section(
        "start",
        cells.START,
        [
            *(_start(f"{pods:,} within a second, alone", pods, 1.0) for pods in SIZES),
            _start("10,000 within a minute, alone", 10_000, 60.0),
            _start("10,000 within five minutes, alone", 10_000, 300.0),
            *(_start(f"{pods:,} within a second, cache", pods, 1.0, cache=()) for pods in SIZES),
            _start("10,000 within a second, cache away", 10_000, 1.0, cache=[Span(0, HOUR)]),
            _start("10,000, alone, 429 with Retry-After: 60", 10_000, 1.0, trouble=Trouble(retry_after=60)),
        ],
    ),
    Section(
        "outage",
        cells.OUTAGE,
        [
            *_outage("5 min", LIVES["5 min"]),
            *_outage("1 h", LIVES["1 h"]),
            *(row for pods in SMALLER for row in _outage(f"1 h, {pods:,} pods", LIVES["1 h"], pods=pods)),
            *_outage("1 h, refresh_at 0.5", LIVES["1 h"], refresh_at=0.5),
            *_outage("1 h, silent", LIVES["1 h"], silent=True),
            *_outage("24 h", LIVES["24 h"]),
        ],
    ),
    Section(
        "cache-outage",
        cells.OUTAGE,
        [
            *(_without_the_cache(words, life) for words, life in LIVES.items()),
            *(_without_the_cache(f"1 h, {pods:,} pods", LIVES["1 h"], pods) for pods in SMALLER),
        ],
    ),
    Section("throttled", cells.OUTAGE, [*_squeezed("5 min", LIVES["5 min"]), *_squeezed("1 h", LIVES["1 h"])]),
    Section(
        "settings",
        cells.SETTINGS,
        [_setting(words, life, share) for words, life in LIVES.items() for share in (0.5, 0.75, 0.9)],
    ),
    Section(
        "idle",
        cells.IDLE,
        [
            _idle("requests all the time"),
            _idle("requests from 8 to 18 h", callers=Daily(8 * HOUR, 18 * HOUR)),
            _idle("one request each 2 h", callers=Seldom(2 * HOUR)),
            _idle("jobs of 5 minutes", plan=jobs),
        ],
    ),
)

CASES: Final = {case.name: case for section in SECTIONS for row in section.rows for case in row.cases}


def run_case(name: str, seed: int) -> Outcome:
    """A case by its name: it holds a client's secret, which lets nobody copy it, not even one that is made up."""
    return run(CASES[name], seed)
