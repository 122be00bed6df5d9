"""The callers: some dozen at once, each with its own connections and its own stream of draws."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import count

from trials.caller import Line, Outcome, unconnected
from trials.chaos.mix import calls

SIZE = 24
_NO_LISTENER = 0.1
"""Seconds after which a caller that was not let in tries again."""


class Crowd:
    """Callers at work between `start` and `stop`."""

    def __init__(self, seed: int, places: Mapping[str, str]) -> None:
        """`places` are the URLs of the sidecar's upstreams, by name."""
        self.outcomes: list[Outcome] = []
        self._seed = seed
        self._places = places
        self._stops = False
        self._numbers = count(1)
        """No two callers have the same, so that no id comes twice."""
        self._callers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._stops = False
        self._callers = [asyncio.create_task(self._caller(next(self._numbers))) for _ in range(SIZE)]

    async def stop(self) -> None:
        """Let each finish what it has begun, and close its connections."""
        self._stops = True
        await asyncio.gather(*self._callers)

    async def _caller(self, number: int) -> None:
        lines: dict[str, Line] = {}
        for call in calls(self._seed, number):
            if self._stops:
                break
            await asyncio.sleep(call.pause)
            line = lines.pop(call.via, None)
            if line is None:
                began = time.time()
                try:
                    line = await Line.open(self._places[call.via], call.via)
                except OSError:
                    self.outcomes += [unconnected(call.via, ask, began) for ask in call.asks]
                    await asyncio.sleep(_NO_LISTENER)
                    continue
            self.outcomes += await line.call(call.asks, call.manner)
            if line.usable:
                lines[call.via] = line
        for line in lines.values():
            await line.close()
