"""The shapes of ids and bodies."""

from __future__ import annotations

import re

from proxy.emulator.answers import compact, gateway_id, page, request_id


def test_a_request_id_is_a_uuid_of_version_4() -> None:
    assert request_id(lambda n: b"\xff" * n) == "ffffffff-ffff-4fff-bfff-ffffffffffff"


def test_a_gateway_id_has_sixteen_characters_that_need_no_escaping() -> None:
    assert gateway_id(lambda n: b"\xff" * n) == "______________8="
    assert re.fullmatch(r"[\w-]{15}=", gateway_id(lambda n: bytes(range(n))))


def test_aws_writes_json_without_spaces_and_people_get_it_with_them() -> None:
    assert compact({"error": "x", "n": [1]}) == b'{"error":"x","n":[1]}'
    answer = page(200, {"a": 1}, fields=(("Allow", "GET"),))
    assert answer.body == b'{\n  "a": 1\n}\n'
    assert answer.fields == (("Content-Type", "application/json"), ("Allow", "GET"))
