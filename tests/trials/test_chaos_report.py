"""What a person reads of a round, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.trials.test_chaos_invariants import GOOD, GOT, READINGS, REFUSED, ROUND, SENT
from trials.chaos.invariants import judge
from trials.chaos.records import Done, keep, read_upstream
from trials.chaos.report import SHOWN, broken, render


def test_a_good_round() -> None:
    verdict = judge(ROUND)
    text = render(ROUND._replace(after=READINGS._replace(resident_bytes=52 * 2**20)), verdict)
    assert not broken(verdict)
    assert "1 requests: 1 200" in text
    assert "1 arrivals: 1 valid; 0 sent more than once" in text
    assert "well again after 0.1 s at most (1 of 1 probes)" in text
    assert " after: 4 tasks, 20 descriptors, 52.0 MiB, 0 caller connections, 0 upstream connections" in text
    assert "exit code 0, 0.1 s after SIGTERM" in text
    assert "BROKEN" not in text
    assert text.count("\nok     ") == len(verdict)


def test_a_broken_one_names_the_first_requests() -> None:
    wrong = tuple(GOOD._replace(id=f"a.{number}", bearer="b.1") for number in range(1, SHOWN + 3))
    records = ROUND._replace(
        outcomes=(*wrong, REFUSED._replace(id="c.1"), GOOD._replace(id="c.2", bearer="c.2", end="cut"))
    )
    verdict = judge(records)
    text = render(records, verdict)
    assert broken(verdict)
    assert f"{SHOWN + 4} requests: {SHOWN + 2} 200, 1 overloaded, 1 cut" in text
    assert "BROKEN No caller gets another caller's bytes" in text
    assert "         a.1: got the answer to b.1" in text
    assert f"         a.{SHOWN + 1}: got" not in text
    assert "         and 2 more" in text


def test_what_the_upstream_wrote_is_read(tmp_path: Path) -> None:
    lines = [
        {"what": "arrival", "id": "a.1", "method": "GET", "at": 10.0, "verdict": "valid", "kid": "k1", "exp": 100},
        {"what": "arrival", "id": "a.2", "method": "GET", "at": 10.0, "verdict": "no token"},
        {"what": "body", "id": "a.1", "right": True, "length": 7},
        {"what": "mixed", "id": "a.3", "other": "a.4"},
        {"what": "answer", "id": "a.1", "status": 200},
        {"what": "answer", "id": "a.2", "status": 401},
    ]
    read = read_upstream(json.dumps(line) for line in lines)
    assert read.arrivals[0] == GOT
    assert read.arrivals[1]._replace(verdict="no token", kid="", expires=0.0) == read.arrivals[1]
    assert read.bodies == ROUND.bodies
    assert read.mixed == ("a.3",)
    assert read.refusals == {"a.2"}


def test_what_is_not_in_a_file_already_is_kept(tmp_path: Path) -> None:
    keep(ROUND._replace(timeline=(Done(1.0, "upstream killed"),)), tmp_path)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept.keys() == {"outcomes.jsonl", "passages.jsonl", "probes.jsonl", "timeline.jsonl"}
    assert json.loads(kept["passages.jsonl"]) == SENT._asdict()
    assert json.loads(kept["timeline.jsonl"]) == {"at": 1.0, "what": "upstream killed"}
