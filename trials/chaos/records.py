"""What was seen in one round, as plain data: the invariants judge nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from trials.caller import Outcome
from trials.readings import Readings


class Passage(NamedTuple):
    """One request on its way from the sidecar to the upstream, as the link between them saw it."""

    id: str
    method: str
    at: float
    """When its head had left the sidecar; Unix time, as all times here."""
    nth: int
    """Of the requests on its connection, counted from 1."""
    returned: int = 0
    """Bytes of its answer that were handed to the sidecar."""
    status: int = 0
    """Of the answer, as far as it was handed over."""
    torn: bool = False
    """The link reset the connection, which may have taken back what it had handed over."""


class Arrival(NamedTuple):
    """One request as the upstream got it."""

    id: str
    method: str
    at: float
    verdict: str
    """Of its token (`trials.upstream.Doorman`)."""
    kid: str = ""
    expires: float = 0.0


class Body(NamedTuple):
    """The body of a request that the upstream has read to its end."""

    id: str
    right: bool
    length: int


class Probe(NamedTuple):
    """A plain request, asked again and again after the last fault until it succeeded."""

    name: str
    seconds: float | None
    """None: it never did."""
    bound: float
    last: str = ""
    """What came instead, when it was asked last."""


class Beat(NamedTuple):
    """One look at `/livez`, while the load was on."""

    at: float
    """Seconds since the load began."""
    took: float
    """Seconds; until it was given up, where it was not answered well."""
    well: bool
    frozen: bool
    """The sidecar had been stopped, so that it could not answer."""


class Ending(NamedTuple):
    """How the sidecar's process ended."""

    by_itself: bool
    code: int | None
    """None: it had to be killed."""
    seconds: float = 0.0
    """From SIGTERM to its end."""


class Done(NamedTuple):
    """One fault, or another step of the driver's."""

    at: float
    """Seconds since the load began."""
    what: str


class Records(NamedTuple):
    """One round."""

    outcomes: tuple[Outcome, ...] = ()
    passages: tuple[Passage, ...] = ()
    """In the order in which they left the sidecar."""
    arrivals: tuple[Arrival, ...] = ()
    bodies: tuple[Body, ...] = ()
    mixed: tuple[str, ...] = ()
    """Ids whose head named another request than its target."""
    refusals: frozenset[str] = frozenset()
    """Ids that the upstream answered with 401."""
    kids: frozenset[str] = frozenset()
    """All keys that ever signed tokens in this round."""
    told_to_end: float = inf
    """When SIGTERM was sent, Unix time."""
    harmless: bool = False
    """Nothing was done that may cost a request."""
    probes: tuple[Probe, ...] = ()
    beats: tuple[Beat, ...] = ()
    before: Readings | None = None
    after: Readings | None = None
    ending: Ending | None = None
    log: tuple[str, ...] = ()
    """Lines of the sidecar's log."""
    secrets: frozenset[str] = frozenset()
    """What must not be found in it."""
    timeline: tuple[Done, ...] = ()


def read_upstream(lines: Iterable[str]) -> Records:
    """What the upstream wrote down, as the part of the records that it is."""
    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return Records(
        arrivals=tuple(
            Arrival(one["id"], one["method"], one["at"], one["verdict"], one.get("kid") or "", one.get("exp") or 0.0)
            for one in told
            if one["what"] == "arrival"
        ),
        bodies=tuple(Body(one["id"], one["right"], one["length"]) for one in told if one["what"] == "body"),
        mixed=tuple(one["id"] for one in told if one["what"] == "mixed"),
        refusals=frozenset(one["id"] for one in told if one["what"] == "answer" and one["status"] == 401),
    )


def keep(records: Records, directory: Path) -> None:
    """Write down what is not in a file already."""
    for name in ("outcomes", "passages", "probes", "timeline"):
        with (directory / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(one._asdict()) + "\n" for one in getattr(records, name))
