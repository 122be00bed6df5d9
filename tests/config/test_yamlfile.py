"""Files that are no configuration at all: one line that names the file, the place and nothing that stands there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config import load
from proxy.config.scalars import InvalidError
from proxy.config.yamlfile import parse
from proxy.errors import ConfigError

SECRET = "hunter2"


def problem(path: Path | str) -> str:
    """The one problem of a file, without its name in front."""
    with pytest.raises(ConfigError) as caught:
        load(str(path), environ={})
    [line] = caught.value.problems
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert caught.value.files == (os.path.abspath(path),)
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"# nothing here\n", "the file is empty"),
        (b"---\n...\n", "the file is empty"),
        (b"just text", "expected a mapping with the key upstreams at the top of the file"),
        (b"[1, 2]", "expected a mapping with the key upstreams at the top of the file"),
        (b"a: 1\nb: \xff\n", "line 2: the file is not UTF-8 text"),
        ("a: ü\n".encode("utf-16"), "line 1: the file is not UTF-8 text"),
        (b"a: 1\nb: \x01\n", "line 2: a control character, which YAML does not allow"),
        (b"a: hunter2\nb: 1\na: 2\n", "line 3, column 1: the key a is there twice"),
        (b"a: {b: 1, b: 2}", "line 1, column 11: the key b is there twice"),
        (b"'hunter2: x': 1\n'hunter2: x': 1", "line 2, column 1: the key <a key that is no plain name> is there twice"),
        (b"a: *hunter2", "line 1, column 4: not valid YAML: text that begins with * must be in quotes"),
        (b"a: !hunter2 b", "line 1, column 4: not valid YAML: text that begins with ! must be in quotes"),
        (b"a: @hunter2", "line 1, column 4: not valid YAML: text that begins with @, % or ` must be in quotes, and "),
        (b"a: &hunter'2", "not valid YAML: text that begins with & or * must be in quotes"),
        (b"a: 'hunter2", "not valid YAML: a quote is opened and never closed"),
        (b'a: "hunter2\\q"', "not valid YAML: this is no escape of a double-quoted string"),
        (b"a: hunter2: c", "line 1, column 11: not valid YAML: a colon in text must be in quotes"),
        (b"a: b\n\thunter2: d", "line 2, column 1: not valid YAML: indentation is spaces, not tabs"),
        (b"a: 1\nhunter2\nb: 2\n", "not valid YAML: a key without a colon after it"),
        (b"a: [1, 2\nb: hunter2", "not valid YAML: "),
        (b"a: 1\n---\nhunter2: 2", "line 2, column 1: not valid YAML: one document is expected"),
        (b"? [hunter2]\n: b", "line 1, column 3: not valid YAML: a key must be plain text"),
        (b"<<: hunter2", "line 1, column 5: not valid YAML: << merges mappings only"),
        (b"a: &a {}\n<<: [*a, hunter2]", "line 2, column 10: not valid YAML: << merges mappings only"),
        (b"a: 2026-13-45", "line 1, column 4: this is not what it looks like to YAML: put it in quotes"),
        (b"a: 0x_", "line 1, column 4: this is not what it looks like to YAML: put it in quotes"),
        (b"a: " + b"9" * 5000, "line 1, column 4: this is not what it looks like to YAML: put it in quotes"),
        (b"a: !!bool hunter2", "line 1, column 4: this is not what it looks like to YAML: put it in quotes"),
        (b"a: !!timestamp hunter2", "line 1, column 4: this is not what it looks like to YAML: put it in quotes"),
        (b"a: !!binary hunter2", "line 1, column 4: not valid YAML: "),
        (b"a: !!python/object/apply:os.system [hunter2]", "not valid YAML: text that begins with ! must be in quotes"),
        (b"a: " + b"[" * 60 + b"]" * 60, "line 1, column 53: nested too deeply"),
        (b"a: " + b"[" * 100000 + b"]" * 100000, "nested too deeply"),
        (b"x" * (1 << 20) + b"x", "cannot be read: it is larger than 1 MiB"),
    ],
)
def test_content_that_is_no_configuration(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    said = problem(path)
    assert why in said
    assert SECRET not in said


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert problem(tmp_path / "nowhere.yaml") == "cannot be read: no such file or directory"
    assert problem(tmp_path) == "cannot be read: is a directory"
    assert problem(tmp_path / ("x" * 300)) == "cannot be read: file name too long"
    (tmp_path / "loop").symlink_to("loop")
    assert "symbolic links" in problem(tmp_path / "loop")


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match=r"config\.yaml: cannot be read"):
        load("config.yaml", environ={})


def _nine_of_nine(form: str) -> bytes:
    """Forty levels, each of nine times the one before: a file of a few kilobytes that would fill any memory."""
    levels = (f"a{n}: &a{n} {form % ', '.join([f'*a{n - 1}'] * 9)}" for n in range(1, 40))
    return "\n".join(("a0: &a0 {k: 1}", *levels)).encode()


def test_what_is_in_a_list_many_times_is_there_once() -> None:
    assert len(parse(_nine_of_nine("[%s]"))) == 40


def test_what_is_merged_many_times_is_there_once() -> None:
    assert parse(_nine_of_nine("{<<: [%s]}"))["a39"] == {"k": 1}


def test_what_is_merged_has_a_limit() -> None:
    chain = (f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: 1}}" for n in range(1, 1000))
    with pytest.raises(InvalidError, match="line 142, column 7: << merges too much"):
        parse("\n".join(("a0: &a0 {k0: 1}", *chain)).encode())


def test_of_what_is_merged_the_first_wins_and_a_mappings_own_keys_before_all() -> None:
    written = b"""
        one: &one {path: 1, host: 1}
        two: &two {path: 2, host: 2, port: 2}
        both: {<<: [*one, *two], host: 3}
    """
    assert parse(written)["both"] == {"path": 1, "host": 3, "port": 2}


def test_a_mapping_that_merges_itself_is_itself() -> None:
    assert parse(b"a: &a {<<: *a, b: 1}") == {"a": {"b": 1}}


def test_what_yaml_may_do() -> None:
    assert parse(b"\xef\xbb\xbfa: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n") == {
        "a": {"b": 1, "c": 2},
        "d": {"b": 1, "c": 3},
    }
    assert parse(b"a: !!set {b, c}") == {"a": {"b", "c"}}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.binary(max_size=60) | st.text("ab:- {}[]&*!|>'\"%@`#,?\n\t<=~0", max_size=60).map(str.encode))
def test_any_bytes_are_data_or_a_problem(content: bytes) -> None:
    try:
        parse(content)
    except InvalidError as error:
        assert str(error)  # noqa: PT017 - whether there is one depends on the content


@given(st.text("abcXYZ019!@#$%^&*()_+-=[]{};:'\"|,.<>/?`~ ", min_size=6, max_size=20))
def test_no_problem_shows_an_unquoted_secret(text: str) -> None:
    try:
        parse(f"client_secret: {text}\n".encode())
    except InvalidError as error:
        assert text.strip() not in str(error)  # noqa: PT017 - whether there is one depends on the text


def test_without_libyaml_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    from proxy.config import yamlfile

    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    try:
        pure = importlib.reload(yamlfile)
        assert pure.parse(b"a: 1") == {"a": 1}
        for text in (b"a: *hunter2", b"a: !hunter2 x", b"a: @hunter2", b"a: 'x", b"a: b: c", b"a: &a'b c", b"a: \x01"):
            with pytest.raises(InvalidError) as caught:
                pure.parse(text)
            assert str(caught.value).startswith("line 1")
            assert SECRET not in str(caught.value)
    finally:
        monkeypatch.undo()
        importlib.reload(yamlfile)


def test_tags_of_a_files_own_kind_are_read_where_somebody_knows_them() -> None:
    text = b"a: !One x\nb: !Two [1, !One y]\nc: !Three {k: !One z}\nd: !One 12\ne: plain"
    assert parse(text, tag=lambda tag, value: {tag: value}) == {
        "a": {"!One": "x"},
        "b": {"!Two": [1, {"!One": "y"}]},
        "c": {"!Three": {"k": {"!One": "z"}}},
        "d": {"!One": "12"},
        "e": "plain",
    }
    for twice in (b"a: !One {k: 1, k: 2}", b"a: !!python/name:os.system b"):
        with pytest.raises(InvalidError):
            parse(twice, tag=lambda tag, value: value)
