"""One upstream as requests meet it: what is prepared once, and what a reload may hand on."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.model import Allow, Duration, Pool, Timeouts, Tls, Url
from proxy.forward.ticker import Ticker
from proxy.forward.upstream import Upstream
from proxy.stats import UpstreamStats
from proxy.tokens.interface import AccessToken
from tests.forward.make import HandLoop, NoTokens, settings, upstream


def test_the_credentials_line_is_made_once_for_each_token() -> None:
    orders = upstream()
    first, second = AccessToken("one", 1), AccessToken("two", 2)
    line = orders.head_end(first)
    assert line.reveal() == b"Authorization: Bearer one\r\n\r\n"
    assert orders.head_end(first) is line
    assert orders.head_end(second).reveal() == b"Authorization: Bearer two\r\n\r\n"
    assert orders.head_end(first) == line


def test_its_repr_has_its_name_and_no_credential() -> None:
    orders = upstream()
    orders.head_end(AccessToken("s3cret", 1))
    assert repr(orders) == "<upstream orders>"


@pytest.mark.parametrize(
    ("changes", "strict"),
    [
        pytest.param({}, False, id="nothing is decided by the path"),
        pytest.param({"path": "/dev"}, True, id="a base path"),
        pytest.param({"prefix": "/api"}, True, id="a prefix"),
        pytest.param({"allow": (Allow(methods=("GET",)),)}, True, id="rules"),
    ],
)
def test_spelling_matters_where_something_is_decided_by_the_path(changes: dict[str, Any], strict: bool) -> None:
    assert upstream(**changes).strict_paths is strict


def test_a_location_leads_back_by_the_name_the_caller_used() -> None:
    orders = upstream(prefix="/api", path="/dev")
    assert orders.to_local(b"https://api.test/dev/x", b"localhost:81") == b"http://localhost:81/api/x"
    assert orders.to_local(b"/dev/x", b"[::1]:81") == b"/api/x"


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        pytest.param({}, True, id="nothing changed"),
        pytest.param({"prefix": "/api", "timeouts": Timeouts(response=Duration(1))}, True, id="nothing of connections"),
        pytest.param({"url": Url("https", "other.test", 443, "")}, False, id="another host"),
        pytest.param({"tls": Tls(ca_file="/ca.pem")}, False, id="other certificates"),
        pytest.param({"pool": Pool(max_connections=1)}, False, id="another limit"),
        pytest.param({"timeouts": Timeouts(connect=Duration(1))}, False, id="another time to connect"),
    ],
)
def test_connections_are_handed_on_only_where_they_would_be_made_the_same(
    changes: dict[str, Any], shared: bool
) -> None:
    assert upstream().shares_pool_with(settings(**changes)) is shared


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_makes_its_own_pool_unless_it_is_handed_one(scheme: Any) -> None:
    loop = HandLoop()
    ticker = Ticker(loop.as_loop, 1)
    orders = Upstream(
        "orders",
        settings(url=Url(scheme, "127.0.0.1", 1, "")),
        provider=NoTokens(),
        stats=UpstreamStats(),
        key_name=b"",
        loop=loop.as_loop,
        ticker=ticker,
    )
    assert (orders.pool.idle, orders.pool.busy, orders.pool.opening) == (0, 0, 0)
    assert not loop.timers, "nothing is opened before a request comes"
