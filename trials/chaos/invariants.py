"""What must hold of the records of a round, whatever was done to it. Pure: each invariant is a function of the records.

It returns what breaks it, one `Breach` each, with the id of the request where it is one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from proxy.errors import KINDS
from trials.caller import Outcome
from trials.chaos.records import Passage, Records

REPEATABLE: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
"""May be sent again on a new connection where a used one closed before the answer began (RFC 9110 §9.2.2)."""
NOTED_LATE: Final = 1.0
"""Seconds by which a link may note a departure late: it shares a processor with the callers, and with the sidecar."""
ON_THE_WAY: Final = 1.0
"""Seconds that a request may take from its caller to a sidecar that is busy."""
ALIVE_WITHIN: Final = 2.0
"""Seconds, on a machine that is busy with the trial itself."""
TASKS: Final = 0
DESCRIPTORS: Final = 0
MEMORY: Final = 8 * 2**20
"""Bytes of resident memory that a round may leave behind: buffers of its largest bodies, which the allocator keeps."""

_OF_THE_CALLERS: Final = frozenset(name for name, kind in KINDS.items() if kind.status < 500)
_UNHEARD: Final = re.compile(
    r"Traceback|Exception in callback|was never retrieved|Task was destroyed|Fatal error|Unclosed"
    r"|background_task_failed|answer_failed|token_fetch_broke"
)
_CREDENTIAL: Final = re.compile(r"eyJ[\w-]{10,}\.|(?i:bearer|basic)\s+[\w+/.~-]{16,}")


class Breach(NamedTuple):
    """One thing that must not be."""

    id: str
    """Of the request; "" where it is about the sidecar as a whole."""
    what: str

    def __str__(self) -> str:
        return f"{self.id}: {self.what}" if self.id else self.what


def own_bytes(records: Records) -> Iterator[Breach]:
    """No caller gets another caller's bytes, nor does the upstream; none is lost, changed or made up on the way."""
    for one in records.outcomes:
        if one.bearer and one.bearer != one.id:
            yield Breach(one.id, f"got the answer to {one.bearer}")
        elif one.differs_at >= 0:
            yield Breach(one.id, f"byte {one.differs_at} of the answer is not its own")
        if one.extra:
            yield Breach(one.id, f"{one.extra} bytes came after its answer")
    for id in records.mixed:
        yield Breach(id, "arrived with the id of another request in its head")
    for body in records.bodies:
        if not body.right:
            yield Breach(body.id, f"arrived with a body of {body.length} bytes that was not sent, or not all of it")


def valid_tokens(records: Records) -> Iterator[Breach]:
    """No request reaches the upstream without a token that was valid when it left the sidecar."""
    left = by_id(records.passages)
    seen: Counter[str] = Counter()
    for one in records.arrivals:
        seen[one.id] += 1
        departures = left.get(one.id, [])
        if len(departures) < seen[one.id]:
            yield Breach(one.id, "arrived without having been sent")
            continue
        if one.verdict == "valid":
            continue
        # A key that is new may not be known there yet; one that is old was good until somebody rotated it.
        if one.verdict not in ("expired", "revoked key", "unknown key") or one.kid not in records.kids:
            yield Breach(one.id, f"arrived with: {one.verdict}")
        elif (late := departures[seen[one.id] - 1].at - one.expires) > NOTED_LATE:
            yield Breach(one.id, f"left with a token that had run out {late:.1f} s before")


def one_answer(records: Records) -> Iterator[Breach]:
    """Each request gets exactly one answer, or a visible cut."""
    for id, count in Counter(one.id for one in records.outcomes).items():
        if count > 1:
            yield Breach(id, f"has {count} outcomes")
    for one in records.outcomes:
        if one.end == "late":
            yield Breach(one.id, f"no answer, and no end either, in {one.ended - one.began:.0f} s")
        elif one.improper and one.end != "left":
            yield Breach(one.id, f"got {one.improper}")
        elif one.end == "whole" and not one.error and one.method != "HEAD" and one.length != one.expected:
            yield Breach(one.id, f"an answer of {one.expected} bytes ended after {one.length} as if it were whole")


def nothing_lost(records: Records) -> Iterator[Breach]:
    """While nothing is done to the sidecar's peers, callers that do their part get the answer that they asked for."""
    for one in records.outcomes if records.harmless else ():
        if not one.fair or one.kind in ("eof", "cut") or _too_late(one, records.told_to_end):
            continue
        good = (101,) if one.kind == "socket" else (200, 401) if one.kind == "once401" else (200,)
        if one.end != "whole" or one.status not in good:
            yield Breach(one.id, f"{one.method} {one.kind} by {one.via}: {one.end} {one.status} {one.error}".rstrip())


def _too_late(one: Outcome, told_to_end: float) -> bool:
    """Whether this is a right end for a request that met a sidecar which had been told to end.

    What came before is finished, but for streams without an end of their own: those are told to end.
    """
    if one.ended < told_to_end:
        return False
    if one.kind in ("socket", "events"):
        return True
    came_after = one.began > told_to_end - ON_THE_WAY
    return came_after and (one.end in ("nothing", "unconnected") or one.error == "shutting_down")


def no_repeats(records: Records) -> Iterator[Breach]:
    """A request is sent again only where the rules allow it.

    Once after a 401, where the upstream's `retry_on_401` says so (docs/reference/configuration.md), and once when a
    connection that had been used before closed without a byte of an answer (docs/testing.md, "Chaos").
    """
    strict = {one.id for one in records.outcomes if one.via == "strict"}
    for id, passages in by_id(records.passages).items():
        replayed = replaced = either = 0
        for before in passages[:-1]:
            if before.status == 401 and id not in strict:
                # Of a connection that was torn, nobody can tell whether the 401 was still read.
                either, replayed = (either + 1, replayed) if before.torn else (either, replayed + 1)
            elif before.status and not before.torn:
                yield Breach(id, f"{before.method} was sent again although it had been answered with {before.status}")
            elif before.method not in REPEATABLE:
                yield Breach(id, f"{before.method} was sent again, which is not for this method")
            elif before.nth == 1:
                yield Breach(id, f"{before.method} was sent again although its connection was new")
            elif before.returned and not before.torn:
                yield Breach(id, f"{before.method} was sent again after {before.returned} bytes of an answer")
            else:
                replaced += 1
        if replayed > 1 or replaced > 1 or replayed + replaced + either > 2:
            yield Breach(
                id, f"was sent {len(passages)} times: {replayed} after 401, {replaced} after a lost connection"
            )


def own_answers(records: Records) -> Iterator[Breach]:
    """The sidecar's own answers say so by X-Sidecar-Error, are never 401, and blame a caller only for what it did."""
    for one in records.outcomes:
        if not one.status or one.improper:
            continue
        if not one.bearer and not one.error:
            yield Breach(one.id, f"a {one.status} that is neither the upstream's nor named by X-Sidecar-Error")
        elif one.bearer and one.error:
            yield Breach(one.id, f"the upstream's answer bears X-Sidecar-Error: {one.error}")
        elif one.status == 401 and one.id not in records.refusals:
            yield Breach(one.id, "a 401 that the upstream did not give")
        elif one.error and (one.error not in KINDS or KINDS[one.error].status != one.status):
            yield Breach(one.id, f"{one.error} with status {one.status}")
        elif one.fair and one.error in _OF_THE_CALLERS:
            yield Breach(one.id, f"a fair caller was told {one.error}")


def well_again(records: Records) -> Iterator[Breach]:
    """After the last fault, everything is well again within a bounded time."""
    if not records.probes:
        yield Breach("", "nobody has looked whether it is")
    for probe in records.probes:
        if probe.seconds is None:
            yield Breach("", f"{probe.name} does not succeed within {probe.bound:.0f} s: {probe.last}")


def always_alive(records: Records) -> Iterator[Breach]:
    """Whatever goes on around it, /livez answers within seconds, unless the whole process stands still."""
    for beat in records.beats:
        if not beat.frozen and (not beat.well or beat.took > ALIVE_WITHIN):
            how = "" if beat.well else " and not well"
            yield Breach("", f"/livez was answered after {beat.took:.1f} s{how}, {beat.at:.1f} s after the load began")


def no_leaks(records: Records) -> Iterator[Breach]:
    """No task, connection, file descriptor or kilobyte leaks: at rest, it uses what it used at rest before."""
    before, after = records.before, records.after
    if before is None or after is None:
        yield Breach("", "there are no readings")
        return
    if not after.at_rest:
        yield Breach("", f"it does not come to rest: {after}")
    for name, allowed in (("tasks", TASKS), ("open_fds", DESCRIPTORS), ("resident_bytes", MEMORY)):
        grown = getattr(after, name) - getattr(before, name)
        if grown > allowed:
            yield Breach("", f"{name} grew by {grown:,} from {getattr(before, name):,}; {allowed:,} are allowed")


def good_end(records: Records) -> Iterator[Breach]:
    """The process never ends by itself; SIGTERM ends it, with exit code 0."""
    ending = records.ending
    if ending is None:
        yield Breach("", "it has not ended")
    elif ending.by_itself:
        yield Breach("", f"it ended by itself, with exit code {ending.code}")
    elif ending.code is None:
        yield Breach("", f"it did not end within {ending.seconds:.0f} s of SIGTERM")
    elif ending.code != 0:
        yield Breach("", f"SIGTERM ended it with exit code {ending.code}")


def clean_log(records: Records) -> Iterator[Breach]:
    """The log tells of no error that nobody dealt with, and never a credential."""
    for line in records.log:
        if _UNHEARD.search(line):
            yield Breach("", f"the log says: {line.strip():.300}")
        if _CREDENTIAL.search(line) or any(secret in line for secret in records.secrets):
            yield Breach("", "the log holds a credential")


Invariant = Callable[[Records], Iterator[Breach]]

INVARIANTS: Final[Sequence[Invariant]] = (
    *(
        own_bytes,
        valid_tokens,
        one_answer,
        nothing_lost,
        no_repeats,
        own_answers,
        well_again,
        always_alive,
        no_leaks,
        good_end,
        clean_log,
    ),
)


def judge(records: Records) -> dict[Invariant, list[Breach]]:
    """All invariants, each with what breaks it."""
    return {invariant: [*invariant(records)] for invariant in INVARIANTS}


def by_id(passages: Sequence[Passage]) -> Mapping[str, list[Passage]]:
    """The passages of each request, in order."""
    found: dict[str, list[Passage]] = {}
    for passage in passages:
        found.setdefault(passage.id, []).append(passage)
    return found
