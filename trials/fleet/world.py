"""One case, run: pods come and go by its plan, fetch tokens and lose them, and everything is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from random import Random
from typing import Final, NamedTuple

from proxy.config.model import Auth, Url, Value
from proxy.tokens.life import token_life
from trials.fleet.alone import Alone
from trials.fleet.callers import Callers, Steady
from trials.fleet.cognito import Cognito, Span, Trouble
from trials.fleet.ledger import Ledger, Outcome
from trials.fleet.plans import Plan, steady
from trials.fleet.pod import Pod, Way
from trials.fleet.shared import Commons, Engine, Shared
from trials.fleet.timeline import Timeline

SETTINGS: Final = Auth(Url("https", "token.example", 443, "/"), Value("id"), (Value("secret"),))
"""The defaults of everything that can be set."""


class Case(NamedTuple):
    """What is tried. Times are in seconds."""

    name: str
    pods: int
    life: float
    """Of the tokens."""
    seconds: float
    """How long is looked, after the warm-up."""
    warm_up: float = 0.0
    plan: Plan = steady
    callers: Callers = Steady()
    trouble: Trouble = Trouble()
    """Its times begin at the end of the warm-up."""
    auth: Auth = SETTINGS
    cache: Sequence[Span] | None = None
    """When the shared cache is away, as `trouble`; None: there is none, and each pod is alone."""
    by_second: bool = False


def run(case: Case, seed: int) -> Outcome:
    """The same figures for the same case and seed."""
    draw = Random(f"{seed} {case.name}").random
    timeline, end = Timeline(), case.warm_up + case.seconds
    ledger = Ledger(case.warm_up, end, by_second=case.by_second)
    cognito = Cognito(case.trouble.later(case.warm_up), case.auth.request_timeout, draw, ledger)
    life = token_life(case.life, None)
    make_way: Callable[[], Way] = partial(Alone, cognito, life, timeline)
    if case.cache is not None:
        engine = Engine([span.later(case.warm_up) for span in case.cache], ledger)
        make_way = partial(Shared, Commons(engine, cognito, life, case.auth, timeline, draw, count(1)))

    def begin(stop: float) -> None:
        pod = Pod(case.auth, case.callers, make_way(), timeline, draw, ledger)
        alive[pod] = None
        pod.start()
        if stop < end:
            timeline.at(stop, partial(finish, pod))

    def finish(pod: Pod) -> None:
        del alive[pod]
        pod.stop()

    alive: dict[Pod, None] = {}  # in their order, as a set is not
    for start, stop in case.plan(case.pods, case.warm_up, end, draw):
        timeline.at(start, partial(begin, stop))
    timeline.run(end)
    for pod in alive:
        pod.stop()
    return ledger.close()
