"""docs/emulator.md is run: its shell in one shell, in order, and its Python. What it promises is what comes out."""

from __future__ import annotations

import asyncio
import itertools
import re
from pathlib import Path

import pytest

from proxy.emulator import Emulator
from proxy.emulator.keys import SigningKey
from tests.documents import as_pattern
from tests.processes import require_program

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sh\n(.*?)^```\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ORIGIN = "http://127.0.0.1:9229"


def test_every_shell_example_shows_what_comes_out() -> None:
    assert len(EXAMPLES) == PAGE.count("```sh\n") >= 14


async def test_the_examples_are_true(signing_keys: list[SigningKey]) -> None:
    require_program("curl")
    async with Emulator(make_key=itertools.cycle(signing_keys).__next__) as emulator:
        end = "~~ end of an example ~~"
        script = "".join(f"{shell}\nprintf '%s\\n' '{end}'\n" for shell, _ in EXAMPLES)
        bash = await asyncio.create_subprocess_exec(
            "bash", "-u", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await bash.communicate(script.replace(ORIGIN, emulator.base_url).encode())
        outputs = out.decode().replace(emulator.base_url, ORIGIN).replace("\r", "").split(end)
        for (shell, expected), output in zip(EXAMPLES, outputs, strict=False):
            assert re.fullmatch(as_pattern(expected), output.strip("\n"), re.DOTALL), f"{shell}\n{output}"
        assert bash.returncode == 0
        assert len(outputs) == len(EXAMPLES) + 1


async def test_the_python_is_true() -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(program, "docs/emulator.md", "exec"), names)
    test = names["test_two_live_secrets"]
    assert callable(test)
    await test()


@pytest.mark.parametrize("text", re.findall(r"\]\(#([\w-]+)\)", PAGE))
def test_links_within_the_page_lead_somewhere(text: str) -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert text in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
