"""docs/performance.md: prose that people write, and between two markers what the benchmark writes."""

from __future__ import annotations

from pathlib import Path

from bench.chart import Bar, Panel, chart
from bench.figures import Results, median
from bench.goals import PER_REQUEST, US, scenario

BEGIN = "<!-- measured: written by `make bench ARGS=--write`, not by hand -->"
END = "<!-- end of measured -->"
DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"
CHART = DOCS / "performance.svg"


def replaced(page: str, generated: str, *, begin: str = BEGIN, end: str = END) -> str:
    """The page with another generated part. Raises ValueError where it does not have exactly one."""
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError("the page needs the two markers of its generated part, once each and in their order")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{generated.strip()}\n\n{end}{after}"


def panels(titles: dict[str, str], results: Results) -> list[Panel]:
    """What the chart shows: processor time at 16 and at 256 connections, latency with one, memory under load."""
    few, many, single = (scenario(PER_REQUEST, connections) for connections in (16, 256, 1))

    def bars(values: dict[str, list[float]]) -> list[Bar]:
        found = [Bar(titles[key], median(rounds), key == US) for key, rounds in values.items() if rounds]
        return sorted(found, key=lambda bar: bar.value)

    return [
        Panel("CPU per request, 16 connections", "µs", bars({key: results.cpu(few, key) for key in titles})),
        Panel("CPU per request, 256 connections", "µs", bars({key: results.cpu(many, key) for key in titles})),
        Panel("Latency with one connection, p50", "ms", bars({key: results.p50(single, key) for key in titles})),
        Panel(
            "Resident memory after 256 connections",
            "MiB",
            bars({key: [life.loaded_mib for life in results.lives.get(key, [])] for key in titles}),
        ),
    ]


def write(text: str, titles: dict[str, str], results: Results) -> None:
    """Put a run into the page and draw its chart."""
    image = chart("What a request costs: the sidecar beside other proxies; shorter is better", panels(titles, results))
    alt = "![CPU per request, latency and memory of each contender, as bars](performance.svg)"
    CHART.write_text(image, encoding="utf-8")
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), f"{alt}\n\n{text}"), encoding="utf-8")
