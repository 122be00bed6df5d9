"""The routes of a gateway, and which of them a request is for. Plain data and pure functions.

Sources: API Gateway developer guide, "Set up a proxy integration with a proxy resource" (REST) and "Create routes for
HTTP APIs" (the order in which routes are tried).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

ANY: Final = "ANY"
EVERYTHING: Final = "*"
"""The path of a route that takes what no other one does: `$default` of an HTTP API, the default of a listener."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What ANY stands for."""


class Route(NamedTuple):
    method: str = ANY
    path: str = EVERYTHING
    """`/orders/{id}` has one segment of any text, `/files/{path+}` the rest of the path."""
    scopes: tuple[str, ...] = ()
    """Any one of them is enough."""
    guarded: bool = True
    """False: it has no authorizer, and whoever comes is let in."""
    audience: tuple[str, ...] | None = None
    """Clients whose tokens it takes; None: every client of the pool."""

    def takes(self, method: str) -> bool:
        return method in METHODS if self.method == ANY else method == self.method


Pick = Callable[[Iterable[Route], str, str], Route | None]
"""Finds the route for a method and a path."""

Rank = tuple[int, ...]
"""How well a path fits, the least number first: for each segment 0 as it is written, 1 `{one}`, 2 `{rest+}`."""

_WORST: Final = (3,)


def rank(template: str, path: str) -> Rank | None:
    """How `path` fits a route's path; None where it does not."""
    if template == EVERYTHING:
        return _WORST
    wanted, given = template.split("/")[1:], path.split("/")[1:]
    fits: list[int] = []
    for number, segment in enumerate(wanted):
        if number >= len(given):
            return None
        variable = segment.startswith("{") and segment.endswith("}")
        if variable and not given[number]:
            return None  # a variable is never empty
        if variable and segment.endswith("+}"):
            return (*fits, 2)
        if not variable and segment != given[number]:
            return None
        fits.append(1 if variable else 0)
    return tuple(fits) if len(given) == len(wanted) else None


def by_resource(routes: Iterable[Route], method: str, path: str) -> Route | None:
    """A REST API's way: the resource is found by the path alone, and then has the method or has it not."""
    fitting = [(fits, route) for route in routes if (fits := rank(route.path, path)) is not None]
    if not fitting:
        return None
    best, _ = min(fitting, key=lambda pair: pair[0])
    methods = [route for fits, route in fitting if fits == best and route.takes(method)]
    return min(methods, key=lambda route: route.method == ANY, default=None)


def by_route(routes: Iterable[Route], method: str, path: str) -> Route | None:
    """An HTTP API's way, among the routes that have the method: whole paths first, then `{rest+}`, then `$default`."""
    fitting = [
        ((fits[-1:] if fits[-1] > 1 else (0,), fits, route.method == ANY), route)
        for route in routes
        if route.takes(method) and (fits := rank(route.path, path)) is not None
    ]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def by_rule(routes: Iterable[Route], method: str, path: str) -> Route | None:
    """A listener's way: the first rule that fits. Its paths have `*` and `?`, and every method passes."""
    return next((route for route in routes if _fits(route.path, path)), None)


def _fits(pattern: str, path: str) -> bool:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(text, path, re.DOTALL) is not None
