"""A configuration file: a configuration that may be served, or its problems in words, and no value among them.

Input: the file's bytes.

Oracle: nothing but a ConfigError is ever raised, in bounded time. Each of its problems is one line without control
characters that begins with a key's path or a place in the file, and none holds a secret: not those that stand in
the environment and in the secret's file, and not what begins like them in the file itself. What loads is safe: nothing
listens off loopback, and no credential leaves in clear, unless the file says in so many words that it may.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

import proxy.config.yamlfile  # noqa: F401 - imported only when needed, which is too late for whoever instruments it
from proxy.config import load
from proxy.config.model import Address, Config, Loaded
from proxy.errors import ConfigError

SECRET: Final = "hush4secret"
_PLACE: Final = re.compile(r"config\.yaml: |(?:[\w.-]|\[\d+\]|<a key that is [\w ,()]+>)+: ")
_NAMED: Final = re.compile(r"the same listen .*|\S+ is not loopback|environment variable \S+")
_PATHS: Final = ("file", "ca_file", "cert_file", "key_file")
_OF_VALUES: Final = ("a value has env or file or secrets_manager", "with secrets_manager go key and region")
"""How it ends what is said of a mapping that stands for a value: a key there may be a value in braces."""

_folder = Path(tempfile.mkdtemp(prefix="fuzz-config-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
(_folder / "secret").write_text(SECRET + "\n")


def check(data: bytes) -> None:
    (_folder / "config.yaml").write_bytes(data)
    here = os.getcwd()
    os.chdir(_folder)
    try:
        loaded = load("config.yaml", environ={"SECRET": SECRET, "ID": "client"})
    except ConfigError as error:
        _judge_problems(data, error)
    else:
        _judge(data, loaded)
    finally:
        os.chdir(here)


def _judge_problems(data: bytes, error: ConfigError) -> None:
    assert error.problems, "refused without a reason"
    for problem in error.problems:
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", problem), "not one line"
        assert _PLACE.match(problem), "it does not say where"
        assert len(problem) < 2000
        if SECRET in problem:
            assert SECRET not in _without_names(problem, data), "a secret is in a problem"


def _without_names(problem: str, data: bytes) -> str:
    """A problem without what it may say of the file: keys, addresses, names of variables and files."""
    shown = _NAMED.sub("", problem)
    keys, paths = _names(yaml.compose(data.decode("utf-8-sig"), Loader=yaml.CSafeLoader))
    for path in paths:
        shown = shown.replace(os.path.abspath(_folder / path), "")
    place, _, said = shown.partition(": ")
    for key in keys:
        place = place.replace(key, "")
        if not problem.endswith(_OF_VALUES):
            said = said.replace(key, "")
    return f"{place}: {said}"


def _names(root: Any) -> tuple[set[str], set[str]]:
    """All keys of a document that have the secret in them, and all such paths of files."""
    keys, paths = set(), set()
    nodes, seen = [root], set()
    while nodes:
        node = nodes.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        for item in node.value:
            key, value = item if isinstance(item, tuple) else (None, item)
            nodes += key, value
            if isinstance(key, yaml.ScalarNode) and SECRET in key.value:
                keys.add(key.value)
            if isinstance(key, yaml.ScalarNode) and key.value in _PATHS and isinstance(value, yaml.ScalarNode):
                paths.add(value.value)
    return keys, {path for path in paths if SECRET in path and "\0" not in path}


def _judge(data: bytes, loaded: Loaded) -> None:
    config: Config = loaded.config
    assert config.upstreams, "there is nothing to serve"
    assert SECRET not in repr(config) or SECRET.encode() in data.lower(), "a secret is in a repr"
    key = config.require_header
    assert key is None or SECRET not in repr(key.value)
    for upstream in config.upstreams.values():
        assert config.allow_remote_clients or _is_local(upstream.listen), "it listens off loopback"
        for url in (upstream.url, upstream.auth.token_url):
            if url.scheme == "http" and not upstream.allow_insecure:
                assert re.fullmatch(r"localhost|127(?:\.\d{1,3}){3}|::1|(?:.+\.)?localhost\.?", url.host), "in clear"
        secrets = (upstream.auth.client_id, upstream.auth.client_secret, upstream.headers.set.values())
        assert SECRET not in repr(secrets), "a secret that stands in the file is in a repr"
        assert upstream.auth.refresh_jitter < upstream.auth.refresh_at
        assert re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", upstream.auth.header)


def _is_local(address: Address) -> bool:
    return bool(address.unix) or address.host in ("localhost", "::1") or address.host.startswith("127.")
