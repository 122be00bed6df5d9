"""The table of cases, played one by one: how is in `tests.conformance.player`, what and why in the `cases_*` files."""

from __future__ import annotations

import pytest

from tests.conformance import (
    cases_answers,
    cases_chunked,
    cases_fields,
    cases_requests,
    cases_responses,
    cases_smuggling,
    cases_targets,
    cases_time,
    cases_upstreams,
)
from tests.conformance.player import play
from tests.conformance.table import LONG, Case

CASES = [
    *cases_smuggling.CASES,
    *cases_chunked.CASES,
    *cases_targets.CASES,
    *cases_fields.CASES,
    *cases_answers.CASES,
    *cases_requests.CASES,
    *cases_responses.CASES,
    *cases_upstreams.CASES,
    *cases_time.CASES,
]


@pytest.mark.uvloop
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_in_one_piece(case: Case) -> None:
    await play(case, bytewise=False)


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.whole_only and len(case.sent) < LONG], ids=lambda case: case.name
)
async def test_byte_by_byte(case: Case) -> None:
    await play(case, bytewise=True)


def test_the_table_is_as_wide_as_it_should_be() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len({*names})
    assert len(names) >= 150
