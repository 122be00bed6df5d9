"""Which route a request is for, as each kind of gateway finds it."""

from __future__ import annotations

import pytest

from proxy.emulator.routes import Pick, Route, by_resource, by_route, by_rule


def made(*keys: str) -> tuple[Route, ...]:
    return tuple(Route(method, path) for method, _, path in (key.partition(" ") for key in keys))


REST = made("GET /", "GET /orders", "POST /orders", "ANY /orders/{id}", "GET /orders/new", "ANY /files/{path+}")
HTTP = made("GET /", "GET /a/{x}", "ANY /a/{rest+}", "ANY /a/b", "POST /a/b", "ANY /{one}/b", "ANY *")
RULES = made("ANY /api/*", "ANY /img/?.png", "ANY *")

ROWS: list[tuple[Pick, tuple[Route, ...], str, str | None]] = [
    (by_resource, REST, "GET /", "GET /"),
    (by_resource, REST, "POST /", None),
    (by_resource, REST, "GET /orders", "GET /orders"),
    (by_resource, REST, "POST /orders", "POST /orders"),
    (by_resource, REST, "DELETE /orders", None),
    (by_resource, REST, "DELETE /orders/7", "ANY /orders/{id}"),
    (by_resource, REST, "GET /orders/new", "GET /orders/new"),
    # The resource /orders/new is found by its path, and has no DELETE, though /orders/{id} has.
    (by_resource, REST, "DELETE /orders/new", None),
    (by_resource, REST, "GET /orders/", None),
    (by_resource, REST, "GET /orders/7/lines", None),
    (by_resource, REST, "PUT /files/a/b/c", "ANY /files/{path+}"),
    (by_resource, REST, "PUT /files/", None),
    (by_resource, REST, "PUT /files", None),
    (by_resource, REST, "BREW /files/a", None),
    (by_resource, REST, "GET /nothing", None),
    (by_route, HTTP, "GET /", "GET /"),
    (by_route, HTTP, "POST /", "ANY *"),
    (by_route, HTTP, "GET /a/c", "GET /a/{x}"),
    (by_route, HTTP, "POST /a/c", "ANY /a/{rest+}"),
    (by_route, HTTP, "POST /a/b", "POST /a/b"),
    (by_route, HTTP, "PUT /a/b", "ANY /a/b"),
    (by_route, HTTP, "GET /c/b", "ANY /{one}/b"),
    (by_route, HTTP, "GET /a/b/c", "ANY /a/{rest+}"),
    (by_route, HTTP, "GET /x/y", "ANY *"),
    (by_route, HTTP, "BREW /x/y", None),
    (by_route, HTTP[:1], "GET /x", None),
    (by_rule, RULES, "GET /api/orders/7", "ANY /api/*"),
    (by_rule, RULES, "BREW /img/a.png", "ANY /img/?.png"),
    (by_rule, RULES, "GET /img/ab.png", "ANY *"),
    (by_rule, RULES[:1], "GET /other", None),
    (by_rule, made("ANY /a.b[c]"), "GET /a.b[c]", "ANY /a.b[c]"),
    (by_rule, made("ANY /a.b"), "GET /axb", None),
]


def _name(value: object) -> str:
    """The same in each process of a parallel run: a function's address is not."""
    return str(getattr(value, "__name__", value))[:40]


@pytest.mark.parametrize(("pick", "routes", "request_line", "expected"), ROWS, ids=_name)
def test_the_route_of_a_request(pick: Pick, routes: tuple[Route, ...], request_line: str, expected: str | None) -> None:
    method, path = request_line.split(" ")
    route = pick(routes, method, path)
    assert (f"{route.method} {route.path}" if route else None) == expected


def test_the_order_of_routes_counts_at_a_load_balancer_only() -> None:
    for pick, routes in ((by_resource, REST), (by_route, HTTP)):
        for line in ("GET /", "GET /orders/new", "POST /a/b", "GET /a/b/c"):
            method, path = line.split(" ")
            assert pick(routes, method, path) == pick(routes[::-1], method, path)
    assert by_rule(RULES[::-1], "GET", "/api/x") == Route()
