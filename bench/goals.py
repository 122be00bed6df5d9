"""What the sidecar is meant to reach, and whether it did. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.figures import Life, Results, Transfer, median, ratios

US = "sidecar"
Measured = Callable[[Results], list[float]]
"""One value a round; empty where it was not measured."""
PER_REQUEST = "bare"
"""The kind of request that goals are about: 28 bytes of JSON, no header fields but Host."""


class Goal(NamedTuple):
    """`measured` is to be at most `limit`, or at least where `at_least`."""

    text: str
    limit: float
    measured: Measured
    unit: str = ""
    at_least: bool = False

    @property
    def words(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g}{self.unit}"


class Verdict(NamedTuple):
    """One goal, and its value in each round: the median decides."""

    goal: Goal
    rounds: list[float]

    @property
    def value(self) -> float | None:
        return median(self.rounds) if self.rounds else None

    @property
    def met(self) -> bool | None:
        """None where one of the two was not measured."""
        if self.value is None:
            return None
        return self.value >= self.goal.limit if self.goal.at_least else self.value <= self.goal.limit


def scenario(kind: str, connections: int) -> str:
    return f"{kind}-{connections}"


def _cpu(connections: int, other: str) -> Measured:
    name = scenario(PER_REQUEST, connections)
    return lambda results: ratios(results.cpu(name, US), results.cpu(name, other))


def _p50(connections: int, other: str) -> Measured:
    name = scenario(PER_REQUEST, connections)
    return lambda results: ratios(results.p50(name, US), results.p50(name, other))


def _memory(of: Callable[[Life], float], other: str) -> Measured:
    def measured(results: Results) -> list[float]:
        mine, theirs = results.lives.get(US, []), results.lives.get(other, [])
        return ratios([of(one) for one in mine], [of(one) for one in theirs])

    return measured


def _start(results: Results) -> list[float]:
    return [one.start_seconds for one in results.lives.get(US, [])]


def _stream(transfers: Callable[[Results], dict[str, list[Transfer]]], other: str) -> Measured:
    def measured(results: Results) -> list[float]:
        mine, theirs = transfers(results).get(US, []), transfers(results).get(other, [])
        return ratios([one.mb_per_second for one in mine], [one.mb_per_second for one in theirs])

    return measured


GOALS: Sequence[Goal] = (
    Goal("CPU per request, 16 connections, to Envoy", 0.75, _cpu(16, "envoy")),
    Goal("CPU per request, 16 connections, to Go", 1.0, _cpu(16, "go")),
    Goal("CPU per request, 16 connections, to nginx with a fixed header", 2.0, _cpu(16, "nginx")),
    Goal("CPU per request, 256 connections, to Envoy", 0.75, _cpu(256, "envoy")),
    Goal("CPU per request, 256 connections, to Go", 0.5, _cpu(256, "go")),
    Goal("p50 with one connection, to Envoy", 1.0, _p50(1, "envoy")),
    Goal("resident memory at rest, to Envoy", 0.7, _memory(lambda life: life.idle_mib, "envoy")),
    Goal("resident memory after 256 connections, to Envoy", 0.7, _memory(lambda life: life.loaded_mib, "envoy")),
    Goal("start to first response", 0.6, _start, " s"),
    Goal("long body down, throughput to nginx", 0.6, _stream(lambda results: results.down, "nginx"), at_least=True),
    Goal("long body up, throughput to nginx", 0.6, _stream(lambda results: results.up, "nginx"), at_least=True),
)


def verdicts(results: Results, goals: Sequence[Goal] = GOALS) -> list[Verdict]:
    return [Verdict(goal, goal.measured(results)) for goal in goals]
