"""How many connections there are descriptors for."""

from __future__ import annotations

import resource
from unittest.mock import patch

import pytest

from proxy.descriptors import FEWEST, OWN, SLACK, Share, make_room, needed, share


@pytest.mark.parametrize(
    ("available", "callers", "listeners", "upstreams", "expected"),
    [
        pytest.param(1_000_000, 10_000, 1, 100, Share(10_000, False), id="plenty"),
        pytest.param(1024, 10_000, 1, 100, Share(819, True), id="the usual soft limit"),
        pytest.param(1024, 500, 1, 100, Share(500, False), id="enough for less"),
        pytest.param(1024, 10_000, 2, 200, Share(361, True), id="two listeners share"),
        pytest.param(256, 10_000, 1, 1000, Share(91, True), id="pools take half at most"),
        pytest.param(32, 10_000, 3, 100, Share(FEWEST, True), id="hardly any"),
    ],
)
def test_callers_get_what_is_left(
    available: int, callers: int, listeners: int, upstreams: int, expected: Share
) -> None:
    assert share(available, callers=callers, listeners=listeners, upstreams=upstreams) == expected


def test_what_is_needed_is_enough() -> None:
    wanted = {"callers": 10_000, "listeners": 3, "upstreams": 300}
    assert share(needed(**wanted) + 3, **wanted) == Share(10_000, False)
    assert needed(**wanted) == OWN + 300 + int(30_000 * SLACK)


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "result", "set_to"),
    [
        pytest.param(1024, 524_288, 10_664, 10_664, 10_664, id="raised as far as is needed"),
        pytest.param(1024, 4096, 10_664, 4096, 4096, id="as far as is allowed"),
        pytest.param(1024, 1024, 10_664, 1024, None, id="no further"),
        pytest.param(65_536, 65_536, 10_664, 10_664, None, id="never lowered"),
        pytest.param(1024, resource.RLIM_INFINITY, 10_664, 10_664, 10_664, id="no hard limit"),
        pytest.param(resource.RLIM_INFINITY, resource.RLIM_INFINITY, 10_664, 10_664, None, id="no limit at all"),
    ],
)
def test_the_soft_limit_is_raised(soft: int, hard: int, wanted: int, result: int, set_to: int | None) -> None:
    with (
        patch.object(resource, "getrlimit", return_value=(soft, hard)),
        patch.object(resource, "setrlimit") as setrlimit,
    ):
        assert make_room(wanted) == result
    assert [call.args[1] for call in setrlimit.call_args_list] == ([] if set_to is None else [(set_to, hard)])


def test_a_system_that_refuses_keeps_its_limit() -> None:
    with (
        patch.object(resource, "getrlimit", return_value=(256, resource.RLIM_INFINITY)),
        patch.object(resource, "setrlimit", side_effect=ValueError),
    ):
        assert make_room(10_000) == 256
