"""Carries a script out on the processes and links of a round. What it did, and when, is in `timeline`."""

from __future__ import annotations

import asyncio
import copy
import fcntl
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.processes import Sidecar, free_port, write_config
from trials.chaos.link import Link
from trials.chaos.records import Done
from trials.chaos.script import Fault
from trials.world import EMULATOR, Surroundings

_CUTS = (0, 1, 20, 100, 5_000)
"""Bytes of an answer after which a connection is cut: before it, in its first line, in its head, in its body."""
_PIPE = 4096
"""Bytes that fit into the pipe, which are soon written."""
_SOON = 0.2
"""Seconds between the two parts of a file that is written in two parts."""


class LogPipe:
    """A pipe as the sidecar's log: read into a file, unless the reader stalls."""

    def __init__(self, pipe: Path, file: Path) -> None:
        os.mkfifo(pipe)
        self._reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, _PIPE)
        self._file = file.open("ab")
        self.flow()

    def flow(self) -> None:
        asyncio.get_running_loop().add_reader(self._reading, self._copy)

    def stall(self) -> None:
        asyncio.get_running_loop().remove_reader(self._reading)

    def close(self) -> None:
        self.stall()
        self._copy()
        os.close(self._reading)
        self._file.close()

    def _copy(self) -> None:
        with suppress(BlockingIOError):
            while data := os.read(self._reading, 1 << 16):
                self._file.write(data)
            self.stall()  # Nobody writes any more.


class Faults:
    """See the module's text."""

    def __init__(
        self,
        around: Surroundings,
        sidecar: Sidecar,
        links: Mapping[str, Link],
        log: LogPipe | None,
        seed: int,
        said: Callable[[Done], None],
    ) -> None:
        self._around = around
        self._sidecar = sidecar
        self._links = links
        self._log = log
        self._random = Random(f"faults {seed}")
        self._said = said
        self._base = copy.deepcopy(sidecar.config)
        self._began = 0.0
        self._one_by_one = asyncio.Lock()
        """On a busy machine the upstream's start may take longer than the script thinks."""
        self.frozen = False
        """The sidecar stands still."""
        self.freezes = 0
        self._kinds: dict[str, Callable[[Fault], Coroutine[Any, Any, None]]] = {
            "upstream killed": self._kill_upstream,
            "upstream stopped": self._stop_upstream,
            "token endpoint": self._token_endpoint,
            "keys rotated": self._rotate_keys,
            "secret rotated": self._rotate_secret,
            "secret exchanged": self._exchange_secret,
            "good configuration": self._good_configuration,
            "bad configuration": self._bad_configuration,
            "hangups": self._hang_up,
            "sidecar frozen": self._freeze,
            "log stalled": self._stall_log,
            "connections taken": self._take_connections,
        }

    async def carry_out(self, script: Sequence[Fault]) -> None:
        """All of it, and return when the last fault is over. The load has begun just now."""
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in script:
                await asyncio.sleep(max(0.0, fault.at - self.now))
                self.say(str(fault))
                group.create_task(self._kinds.get(fault.kind, self._link)(fault))

    @property
    def now(self) -> float:
        """Seconds since the load began."""
        return round(time.monotonic() - self._began, 2)

    def say(self, what: str) -> None:
        self._said(Done(self.now, what))

    async def mend(self) -> None:
        """What an operator does when a client was refused: put in a new secret. The sidecar then tries at once."""
        await self._around.issuer.set_faults()
        await self._around.issuer.rotate_secret()
        self._around.issuer.write_secret()
        self._signal(signal.SIGHUP)
        self.say("mended: a new secret")

    def _signal(self, number: signal.Signals) -> None:
        if self._sidecar.running:
            self._sidecar.send(number)

    # The upstream, and the ways to it and to the token endpoint.

    async def _kill_upstream(self, fault: Fault) -> None:
        async with self._one_by_one:
            await self._around.upstream.kill()
            await asyncio.sleep(fault.lasts)
            await self._around.upstream.start()

    async def _stop_upstream(self, fault: Fault) -> None:
        async with self._one_by_one:
            self._around.upstream.stop()
            await asyncio.sleep(fault.lasts)
            self._around.upstream.go_on()

    async def _link(self, fault: Fault) -> None:
        name, _, what = fault.kind.partition(" link ")
        link = self._links[name]
        match what:
            case "reset":
                link.reset(fault.detail["share"], self._random)
            case "cut":
                link.cut(lambda: self._random.choice(_CUTS))
            case "delayed":
                link.delay(fault.detail["seconds"])
            case "stalled":
                link.stall()
            case _:
                link.shut()
        await asyncio.sleep(fault.lasts)
        match what:
            case "cut":
                link.cut(None)
            case "delayed":
                link.delay(0.0)
            case "stalled":
                link.flow()
            case "shut":
                await link.open()

    # Tokens.

    async def _token_endpoint(self, fault: Fault) -> None:
        await self._around.issuer.set_faults(*fault.detail["faults"])
        await asyncio.sleep(fault.lasts)
        await self._around.issuer.set_faults()

    async def _rotate_keys(self, fault: Fault) -> None:
        await self._around.issuer.rotate_keys(keep_old=fault.detail["keep_old"])

    async def _rotate_secret(self, fault: Fault) -> None:
        secret = await self._around.issuer.rotate_secret()
        await asyncio.sleep(fault.lasts)
        if fault.detail["how"] == "in two parts":
            self._around.issuer.secret_file.write_text(secret[: len(secret) // 2])
            await asyncio.sleep(_SOON)
            self._around.issuer.secret_file.write_text(secret + "\n")
        else:
            self._around.issuer.write_secret()

    async def _exchange_secret(self, fault: Fault) -> None:
        """As it should be done: the old one is good until the sidecar has had the time to find the new one."""
        await self._around.issuer.rotate_secret(revoke_old=False)
        self._around.issuer.write_secret()
        await asyncio.sleep(fault.lasts)

    # The configuration.

    async def _good_configuration(self, fault: Fault) -> None:
        write_config(self._sidecar.config_file, good(self._base, fault.detail["variant"]))
        await self._until_back(fault)

    async def _bad_configuration(self, fault: Fault) -> None:
        file, secret = self._sidecar.config_file, self._around.issuer.secret_file
        variant = fault.detail["variant"]
        if variant == "gone":
            file.unlink()
        elif variant == "no secret":
            secret.unlink(missing_ok=True)
        else:
            file.write_text(bad(self._base, variant, file.read_text(), self._around.issuer.port))
        await self._until_back(fault)
        if variant == "no secret":
            self._around.issuer.write_secret()

    async def _until_back(self, fault: Fault) -> None:
        """Let it be read, or found by itself; then put back what was there before."""
        if fault.detail["hangup"]:
            self._signal(signal.SIGHUP)
        await asyncio.sleep(fault.lasts)
        write_config(self._sidecar.config_file, self._base)
        if fault.detail["hangup"]:
            self._signal(signal.SIGHUP)

    async def _hang_up(self, fault: Fault) -> None:
        for _ in range(fault.detail["count"]):
            self._signal(signal.SIGHUP)
            await asyncio.sleep(fault.lasts / fault.detail["count"])

    # The process.

    async def _freeze(self, fault: Fault) -> None:
        self.frozen = True
        self.freezes += 1
        self._signal(signal.SIGSTOP)
        await asyncio.sleep(fault.lasts)
        self._signal(signal.SIGCONT)
        self.frozen = False

    async def _stall_log(self, fault: Fault) -> None:
        if self._log is None:
            return
        self._log.stall()
        await asyncio.sleep(fault.lasts)
        self._log.flow()

    async def _take_connections(self, fault: Fault) -> None:
        """Connect and say nothing, as often as is asked for or possible."""
        host, _, port = self._base["upstreams"]["orders"]["listen"].rpartition(":")
        taken = []
        for _ in range(fault.detail["count"]):
            with suppress(OSError):
                taken.append((await asyncio.open_connection(host, int(port)))[1])
        await asyncio.sleep(fault.lasts)
        for writer in taken:
            writer.transport.abort()


def good(base: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """Another configuration that may be used; callers of what was there before notice nothing."""
    config = copy.deepcopy(dict(base))
    orders, local = config["upstreams"]["orders"], config["upstreams"]["local"]
    match variant:
        case "small pool":
            orders["pool"] = {**orders["pool"], "max_connections": 15}
        case "other timeouts":
            orders["timeouts"] = {**orders["timeouts"], "response": "25s"}
        case "other header":
            orders["headers"] = {"set": {"X-Revision": "2"}}
        case "one upstream more":
            config["upstreams"]["more"] = {**local, "listen": f"127.0.0.1:{free_port()}"}
        case "other scopes":
            local["auth"] = {**local["auth"], "scopes": [*local["auth"]["scopes"], EMULATOR.scope]}
        case _:
            config["log"] = {**config["log"], "level": "error", "access": False}
    return config


def bad(base: Mapping[str, Any], variant: str, text: str, port: int) -> str:
    """The text of a configuration that must not be taken; `port` is one that somebody else listens at."""
    match variant:
        case "broken YAML":
            return text + "\nupstreams: [unclosed\n"
        case "unknown key":
            return text + "\nupstream: {}\n"
        case "no upstreams":
            return "upstreams: {}\n"
        case "empty":
            return ""
        case "half":
            return text[: len(text) // 2]
        case _:
            return text.replace(base["upstreams"]["orders"]["listen"], f"127.0.0.1:{port}")
