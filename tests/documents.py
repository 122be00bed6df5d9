"""Documents that are run: their console blocks in one shell, in order, beside what they say comes out.

A block of the language `console` holds commands after `$ ` and, below each, its output. `…` stands for anything: within
a line, or for whole lines where it stands alone on one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import botocore.session
from botocore import xform_name

from tests.processes import environment, require_program

ROOT = Path(__file__).parents[1]
_END = "~~ end of a command ~~"
_PATIENCE = 150.0
"""Seconds for a whole document, in which a dozen programs start."""


class Step(NamedTuple):
    """One command and what it says."""

    command: str
    output: str


def as_pattern(expected: str) -> str:
    """A regular expression for what a document shows."""
    lines = (
        ".*" if line == "…" else "[^\n]*".join(re.escape(part) for part in line.split("…"))
        for line in expected.rstrip("\n").split("\n")
    )
    return "\n".join(lines)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def steps(text: str) -> list[Step]:
    """The commands of all console blocks of a document."""
    found = []
    for block in blocks(text, "console"):
        assert block.startswith("$ "), block
        found += [Step(*match) for match in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)]
    return found


def files(text: str) -> dict[str, str]:
    """Blocks whose first line is a comment with a file's name: what a reader would save as that."""
    found = re.findall(r"^```\w+\n((?:# |#!\S+\n# )([\w./-]+)\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return {name: content for content, name in found}


def commands(text: str, program: str) -> list[list[str]]:
    """The words of each command that calls a program, in the blocks of a document that are not run."""
    lines = "\n".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    calls = [part.strip() for line in lines for part in re.split(r"\s\|\s|\$\((?=aws)", line)]
    return [shlex.split(re.sub(r"\$\(.*?\)|[<>] \S+", "x", call)) for call in calls if call.startswith(program)]


def unknown_to_aws(words: list[str]) -> set[str]:
    """The options of one command of `aws` that do not exist. Raises KeyError for an operation that does not."""
    _, service, operation, *options = words
    given = {word for word in options if word.startswith("--")} - {"--query", "--output", "--region"}
    if operation == "deploy":  # the CLI's own
        return given - {"--stack-name", "--template-file", "--capabilities", "--parameter-overrides"}
    session = botocore.session.Session()
    if operation == "wait":
        waiters = session.get_waiter_model(service)
        known = {xform_name(name, "-"): name for name in waiters.waiter_names}
        operation = xform_name(waiters.get_waiter(known[options[0]]).operation, "-")
    model = session.get_service_model(service)
    known = {xform_name(name, "-"): name for name in model.operation_names}
    members = model.operation_model(known[operation]).input_shape.members
    return given - {f"--{xform_name(name, '-')}" for name in members}


async def run(text: str, folder: Path, *, changed: Mapping[str, str], env: Mapping[str, str] | None = None) -> str:
    """Run a document in `folder`, and tell where it is not as it says. `changed`: what is put in place of what.

    Standard output and error are looked at together. What a document leaves running is ended.
    """
    todo = steps(text)
    for name, content in files(text).items():
        (folder / name).write_text(_with(content, changed), encoding="utf-8")
    script = "".join(f"{_with(step.command, changed)}\nprintf '%s\\n' '{_END}'\n" for step in todo)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    bash = await asyncio.create_subprocess_exec(
        *(require_program("bash"), "-u"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env=environment({"PATH": path, **(env or {})}),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            out, _ = await bash.communicate(script.encode())
    finally:
        # The session is the document's own, and so is whatever it has left running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(bash.pid, signal.SIGTERM)
        if bash.returncode is None:
            await bash.wait()
    outputs = _back(out.decode(), changed).replace("\r", "").split(f"{_END}\n")
    assert len(outputs) == len(todo) + 1, f"the shell ended early: {outputs[-1]}"
    return "\n".join(
        f"$ {step.command}\nshould say:\n{step.output}but says:\n{output}"
        for step, output in zip(todo, outputs, strict=False)
        if not re.fullmatch(as_pattern(step.output), output.strip("\n"), re.DOTALL)
    )


def _with(text: str, changed: Mapping[str, str]) -> str:
    for written, put in changed.items():
        text = text.replace(written, put)
    return text


def _back(text: str, changed: Mapping[str, str]) -> str:
    for written, put in changed.items():
        text = text.replace(put, written)
    return text


def leads_somewhere(target: str, page: Path) -> bool:
    """Whether a link of a page is to a file that is there, and to a heading that it has."""
    path, _, heading = target.partition("#")
    other = page.parent / path if path else page
    return other.exists() and (not heading or heading in _headings(other))


def _headings(page: Path) -> set[str]:
    """What the headings of a page are called in links. The second of two that are the same has a number."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    seen: Counter[str] = Counter()
    found = set()
    for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        name = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found
