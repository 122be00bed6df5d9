"""Example, schema and reference say what the program does: each is held against the model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config import json_schema, load
from proxy.config.model import Config, Mapping, UnixSocket
from proxy.config.reference import reference
from proxy.config.scalars import DURATION_PATTERN, SIZE_PATTERN, InvalidError, parse_duration, parse_size
from proxy.config.shapes import Field, fields, shape
from proxy.config.written import written
from proxy.emulator.settings import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yaml"
ENVIRON = {"ORDERS_CLIENT_ID": "an-id", "ORDERS_CLIENT_SECRET": "a-secret"}


def keys(kind: type[Mapping], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Field]]:
    """Every key of the file, by its path; items of lists and tables are `*`."""
    for field in fields(kind).values():
        here = (*path, field.name)
        yield here, field
        form = shape(field.type)
        if form.kind == "mapping" and not form.optional:
            yield from keys(form.base, here)
        elif form.kind == "table" and shape(form.base).kind == "mapping":
            yield from keys(shape(form.base).base, (*here, "*"))


def test_the_example_loads() -> None:
    loaded = load(str(EXAMPLE), environ=ENVIRON)
    assert loaded.config.upstreams["orders"].auth.client_secret[0].reveal() == "a-secret"


def test_the_example_has_every_key_with_its_default() -> None:
    example = yaml.safe_load(EXAMPLE.read_text())
    for path, field in keys(Config):
        place: Any = example
        for step in path:
            place = place["orders" if step == "*" else step]  # a KeyError here names the key that is missing
        if not field.required and path[-1] != "scopes":  # the scopes are the reader's own, like url and token_url
            loaded = written(field.default)
            assert place == loaded or parse_duration(place) == parse_duration(loaded), path
    # The keys of what is null or empty by default stand in the comments.
    text = EXAMPLE.read_text()
    assert re.search(r"require_header: null .*\{name: .*, value: ", text)
    assert re.search(r"allow: \[\] .*\{methods: .*, paths: ", text)


def test_every_key_of_the_example_has_a_comment() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s+\w+: \S", line):
            assert "#" in line or lines[number - 1].lstrip().startswith("#"), line


def test_the_example_edited_as_its_comments_say(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    emulated = re.findall(r"emulator: (http\S+)", text)
    assert emulated == ["http://127.0.0.1:9229/rest", "http://127.0.0.1:9229/oauth2/token"]
    for url, local in zip(re.findall(r"(?m)^ +(?:url|token_url): (\S+)", text), emulated, strict=True):
        text = text.replace(url, local)
    (tmp_path / "config.yaml").write_text(text)
    exported = dict(re.findall(r"(?m)^#   export (\w+)=(\S+)$", text))
    orders = load(str(tmp_path / "config.yaml"), environ=exported).config.upstreams["orders"]
    emulator = Settings()
    assert orders.auth.client_id.reveal() == emulator.client_id
    assert orders.auth.client_secret[0].reveal() == emulator.client_secrets[0]
    assert orders.auth.scopes == emulator.scopes


def test_the_reference_is_up_to_date() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert page == reference(), "run: python -m proxy.config.reference > docs/reference/configuration.md"


def test_the_reference_has_every_key() -> None:
    page = reference()
    for path, field in keys(Config):
        heading = ".".join("NAME" if step == "*" else step for step in path[:-1])
        section = page.split(f"## `{heading}`\n" if heading else "## The top of the file\n")[1].split("\n## ")[0]
        assert f"| `{path[-1]}` |" in section
        assert field.description, path
    for key in ("methods", "paths", "name", "value"):
        assert f"| `{key}` |" in page


def test_the_schema_has_every_key() -> None:
    schema = json_schema()

    def properties(path: tuple[str, ...]) -> dict[str, Any]:
        place = schema
        for step in path:
            place = place["additionalProperties"] if step == "*" else place["properties"][step]
            if "$ref" in place:
                place = schema["$defs"][place["$ref"].rpartition("/")[2]] | {"default": place.get("default")}
        return place

    for path, field in keys(Config):
        above, here = properties(path[:-1]), properties(path)
        assert (path[-1] in above.get("required", [])) is field.required
        assert above["additionalProperties"] is False
        if not field.required:
            assert here["default"] == ({} if isinstance(field.default, Mapping) else written(field.default))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_knows_sources_and_lists() -> None:
    definitions = json_schema()["$defs"]
    auth = definitions["Auth"]["properties"]
    assert auth["client_id"]["oneOf"] == [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/source"}]
    one, two = auth["client_secret"]["anyOf"]
    assert one["oneOf"] == auth["client_id"]["oneOf"]
    assert (two["type"], two["minItems"], two["maxItems"]) == ("array", 1, 2)
    assert [list(source["properties"]) for source in definitions["source"]["oneOf"]] == [
        ["env"],
        ["file"],
        ["secrets_manager", "key", "region"],
    ]
    assert auth["method"]["enum"] == ["basic", "basic_raw", "post"]
    assert auth["refresh_at"]["exclusiveMinimum"] == 0
    assert auth["refresh_at"]["maximum"] == 1
    assert definitions["Tls"]["properties"]["ca_file"]["anyOf"][1] == {"type": "null"}


def test_a_listen_address_has_a_long_form_everywhere() -> None:
    schema, page = json_schema(), reference()
    for place in (schema["$defs"]["Upstream"], schema["$defs"]["Admin"]):
        text, mapping = place["properties"]["listen"]["anyOf"]
        assert (text["type"], mapping) == ("string", {"$ref": "#/$defs/UnixSocket"})
    assert page.count("| `listen` | address, or mapping |") == 2
    section = page.split("## `listen` as a mapping\n")[1].split("\n## ")[0]
    unix = schema["$defs"]["UnixSocket"]
    assert unix["required"] == ["unix"]
    assert list(unix["properties"]) == list(fields(UnixSocket))
    for name, field in fields(UnixSocket).items():
        assert f"| `{name}` |" in section
        assert re.search(rf"# \{{unix: .*\b{name}: ", EXAMPLE.read_text()) or name == "unix"
        assert unix["properties"][name]["description"] == field.description


@pytest.mark.parametrize(
    "text", ["5s", "0s", "250ms", "1.5h", "0.5s", "00.0m", "10", "7", "5 s", "s", "-1s", "5S", "1e3", "1.s", ""]
)
def test_the_schema_takes_the_durations_that_load(text: str) -> None:
    auth = json_schema()["$defs"]["Auth"]["properties"]
    number, string = auth["wait"]["anyOf"]
    assert number == {"type": "number", "minimum": 0}
    assert string["pattern"] == DURATION_PATTERN
    try:
        seconds = parse_duration(text)
    except InvalidError:
        seconds = None
    assert bool(re.search(string["pattern"], text)) is (seconds is not None)
    positive = auth["request_timeout"]["anyOf"][1]["pattern"]
    assert bool(re.search(positive, text)) is (seconds is not None and seconds > 0)


def test_the_schema_s_patterns_work_in_any_validator() -> None:
    # Go's and Rust's regular expressions, and so Helm's check of values, have no lookaround and no back-references.
    patterns = re.findall(r'"pattern": "(.*?)"', json.dumps(json_schema()))
    assert len(patterns) > 10
    assert [pattern for pattern in patterns if re.search(r"\(\?[=!<]|\\\\[1-9]", pattern)] == []


@pytest.mark.parametrize("text", ["5", "64KiB", "10MB", "64k", "1.5MiB", "-1", "KiB", ""])
def test_the_schema_takes_the_sizes_that_load(text: str) -> None:
    try:
        good = parse_size(text) >= 0
    except InvalidError:
        good = False
    assert bool(re.search(SIZE_PATTERN, text)) is good


def test_types_that_the_file_cannot_have_are_a_mistake_of_the_model() -> None:
    with pytest.raises(TypeError, match="no way to write"):
        shape(bytes)
