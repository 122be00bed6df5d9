"""Which upstream a path belongs to."""

from __future__ import annotations

from functools import partial

import pytest

from proxy.forward.routes import Routes
from tests.forward.make import upstream
from tests.growth import FEW, MANY, calls

ROUTES = Routes(
    [
        upstream("api", prefix="/api", hosts=("api.internal",)),
        upstream("root", hosts=("*",)),
        upstream("orders", prefix="/api/orders"),
    ]
)


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [
        pytest.param(b"/", "root", b"/", id="the root"),
        pytest.param(b"/api", "api", b"/", id="the prefix itself is the upstream's root"),
        pytest.param(b"/api/", "api", b"/", id="with a slash too"),
        pytest.param(b"/api/x", "api", b"/x", id="below it"),
        pytest.param(b"/apix", "root", b"/apix", id="not on a path boundary"),
        pytest.param(b"/api/orders/1", "orders", b"/1", id="the longest wins"),
        pytest.param(b"/api/ordersx", "api", b"/ordersx", id="the longest on a boundary wins"),
        pytest.param(b"/%61pi", "root", b"/%61pi", id="as written"),
        pytest.param(b"/api/../x", "api", b"/../x", id="never resolved"),
        pytest.param(b"*", "root", b"*", id="a whole server"),
    ],
)
def test_the_longest_prefix_on_a_path_boundary_wins(path: bytes, name: str, rest: bytes) -> None:
    route = ROUTES.find(path)
    assert route is not None
    assert (route.upstream.name, route.path) == (name, rest)


def test_no_prefix_no_route() -> None:
    routes = Routes([upstream(prefix="/api")])
    for path in (b"/", b"/apix", b"*", b"", b"/API"):
        assert routes.find(path) is None


def test_how_many_prefixes_there_are_makes_no_difference() -> None:
    few, many = (Routes(upstream(prefix=f"/{number:03}") for number in range(count)) for count in (FEW, MANY))
    for path in (b"/000/x", b"/001", b"/999", b"/"):
        assert calls(partial(many.find, path)) == calls(partial(few.find, path))


def test_a_listener_with_one_upstream_knows_whose_errors_are() -> None:
    only = upstream(prefix="/api")
    assert Routes([only]).only is only
    assert ROUTES.only is None
    assert Routes([]).only is None
    assert Routes([]).find(b"/") is None


def test_where_the_route_is_unknown_the_hosts_of_any_upstream_will_do() -> None:
    assert ROUTES.all_hosts == {b"api.internal", b"*"}
