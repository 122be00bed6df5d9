"""Real programs for end-to-end tests: a sidecar as a process of its own, and whatever calls it.

A process is started, waited for by what it says or by its exit, and ended by its own id. Nothing here sleeps.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol, Self

import pytest
import yaml

PATIENCE = 30.0
"""Seconds after which a process that does not do what it should fails the test. Never reached in a good run."""

FOREIGN = frozenset(
    name
    for word in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy")
    for name in (word, word.upper())
) | {"WGETRC", "CURL_HOME", "NETRC"}
"""Variables of this machine that would send a test's request somewhere else."""


# ------------------------------------------------------------------------------------------------ what must be there


def require_program(name: str) -> str:
    """The path of a program that the test needs."""
    return shutil.which(name) or lacking(f"the program {name} is not on this machine")


def lacking(what: str) -> NoReturn:
    """Skip the test, but fail it with CI=true: a proof that was left out must not look like one that holds."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI skips nothing", pytrace=False)
    pytest.skip(what)


_PORTS = 1_500
_first_port = 20_000 + _PORTS * (int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 8)
_port_numbers = itertools.count(os.getpid())
# Below the range from which systems draw ports by themselves, so that no other test's "any free port" is in the way.
# Each worker of a parallel run draws from its own part, and each run begins somewhere else in it.


def free_port() -> int:
    """A loopback port that nobody listens on, for what has to be told its port beforehand."""
    for _ in range(_PORTS):
        number = _first_port + next(_port_numbers) % _PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                continue
            return number
    raise AssertionError("no port is free")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process under test: this one, less what would lead it elsewhere, and `extra`."""
    kept = {k: v for k, v in os.environ.items() if k not in FOREIGN and not k.startswith("COGNITO_SIDECAR_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **(extra or {})}


# ---------------------------------------------------------------------------------------------- programs that end


class Finished(NamedTuple):
    """A program that ran to its end."""

    code: int
    stdout: bytes
    stderr: bytes


async def run_program(
    *command: str, env: Mapping[str, str] | None = None, stdin: bytes = b"", patience: float = PATIENCE
) -> Finished:
    """Run a program to its end, with `stdin` as its input and a clean environment plus `env`."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(env),
    )
    try:
        async with asyncio.timeout(patience):
            stdout, stderr = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, stdout, stderr)


async def run_command(*arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> Finished:
    """Run one of the sidecar's own commands to its end."""
    return await run_program(sys.executable, "-m", "proxy", *arguments, env=env, stdin=stdin)


# ---------------------------------------------------------------------------------------------- programs that serve


class Program:
    """A process that serves: what it prints is kept and can be waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._wanted: list[tuple[str, int, asyncio.Future[str]]] = []
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, *command: str, env: Mapping[str, str] | None = None, output: int | None = None) -> Self:
        """Start it. Standard output and error are read as one, or go to the descriptor `output`, unread."""
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if output is None else output,
                stderr=asyncio.subprocess.STDOUT,
                env=environment(env),
                limit=1 << 20,
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        return "".join(self._lines)

    async def printed(self, text: str, *, times: int = 1) -> str:
        """Wait until so many of its lines hold `text`, and give the last of them."""
        if (line := self._line(text, times)) is not None:
            return line
        assert not self._reading.done(), f"it ended without printing {text!r}; it printed:\n{self.output}"
        line_to_come: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._wanted.append((text, times, line_to_come))
        async with asyncio.timeout(PATIENCE):
            return await line_to_come

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end, and for the last of what it printed; its exit code."""
        async with asyncio.timeout(PATIENCE):
            code = await self._process.wait()
            await asyncio.shield(self._reading)
        return code

    async def stop(self) -> int:
        """SIGTERM, where it still runs, and its exit code. One that does not obey is killed and fails the test."""
        if self.running:
            self.send(signal.SIGTERM)
        try:
            return await self.ended()
        except TimeoutError:
            self._process.kill()
            await self.ended()
            raise AssertionError(f"it did not end on SIGTERM; it printed:\n{self.output}") from None

    def _line(self, text: str, times: int) -> str | None:
        return next(itertools.islice((line for line in self._lines if text in line), times - 1, None), None)

    async def _read(self) -> None:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            self._lines.append(line.decode(errors="backslashreplace"))
            for text, times, wanted in self._wanted:
                found = self._line(text, times)
                if found is not None and not wanted.done():
                    wanted.set_result(found)
        for text, _, wanted in self._wanted:
            if not wanted.done():
                wanted.set_exception(AssertionError(f"it ended without printing {text!r}; it printed:\n{self.output}"))


class Sidecar(Program):
    """A running `cognito-sidecar run`."""

    config_file: Path
    config: dict[str, Any]

    def url(self, upstream: str) -> str:
        """Where callers reach an upstream, without a slash at the end."""
        settings = self.config["upstreams"][upstream]
        return f"http://{settings['listen']}{settings.get('prefix', '/').rstrip('/')}"

    @property
    def admin(self) -> str:
        return f"http://{self.config['admin']['listen']}"

    def rewrite(self, config: Mapping[str, Any]) -> None:
        """Give the running sidecar another configuration file; it takes it on SIGHUP, or when it looks."""
        self.config = complete(config, self.config)
        write_config(self.config_file, self.config)


class StartSidecar(Protocol):
    def __call__(
        self,
        config: Mapping[str, Any],
        env: Mapping[str, str] | None = None,
        *,
        ready: bool = True,
        output: int | None = None,
    ) -> AbstractAsyncContextManager[Sidecar]: ...


def starter(directory: Path) -> StartSidecar:
    """A function that starts sidecars whose files are in `directory`.

    It takes the configuration as plain data; addresses that are left out are filled in with free ports. The context is
    entered when `/readyz` answers 200 (with `ready=False`: when the first line is printed), and left by SIGTERM:
    an exit code other than 0 fails the test, unless the test has waited for the end itself.
    """
    numbers = itertools.count(1)

    @asynccontextmanager
    async def start(
        config: Mapping[str, Any],
        env: Mapping[str, str] | None = None,
        *,
        ready: bool = True,
        output: int | None = None,
    ) -> AsyncIterator[Sidecar]:
        file = directory / f"sidecar-{next(numbers)}.yaml"
        whole = complete(config, {})
        write_config(file, whole)
        command = (sys.executable, "-m", "proxy", "run", "--config", str(file))
        sidecar = await Sidecar.start(*command, env=env, output=output)
        sidecar.config_file, sidecar.config = file, whole
        try:
            if ready:
                await until_ready(sidecar)
            else:
                await sidecar.printed("")
            yield sidecar
        except BaseException as error:
            await sidecar.stop()
            error.add_note(f"The sidecar printed:\n{sidecar.output}")
            raise
        running = sidecar.running
        code = await sidecar.stop()
        assert code == 0 or not running, f"exit code {code} after SIGTERM; it printed:\n{sidecar.output}"

    return start


async def until_ready(sidecar: Sidecar) -> None:
    """Wait until `/readyz` answers 200: ask the sidecar's own `wait`, but no longer than the sidecar lives."""
    waiting = asyncio.ensure_future(run_command("wait", "--config", str(sidecar.config_file), "--timeout", "20s"))
    ending = asyncio.ensure_future(sidecar.ended())
    try:
        await asyncio.wait((waiting, ending), return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            raise AssertionError(f"it ended with exit code {ending.result()} before it was ready")
        code, _, stderr = await waiting
        assert code == 0, f"`wait` gave up: {stderr.decode()}"
    finally:
        waiting.cancel()
        ending.cancel()
        await asyncio.gather(waiting, ending, return_exceptions=True)


def complete(config: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with an address wherever it names none: the one in `previous`, else one with a free port."""
    whole: dict[str, Any] = copy.deepcopy(dict(config))
    for name, settings in whole["upstreams"].items():
        before = previous.get("upstreams", {}).get(name, {})
        if "listen" not in settings:
            settings["listen"] = before.get("listen") or f"127.0.0.1:{free_port()}"
    if "listen" not in whole.setdefault("admin", {}):
        whole["admin"]["listen"] = previous.get("admin", {}).get("listen") or f"127.0.0.1:{free_port()}"
    return whole


def write_config(file: Path, config: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False), encoding="utf-8")
