"""Every attack from every origin, carried out once against one sidecar; what came of each."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from tests.browser import attacks
from tests.browser.site import Site
from tests.e2e.world import World
from tests.processes import PATIENCE

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext


class Origin(NamedTuple):
    """Where a hostile page is from, and by which address it reaches the sidecar: with `{sidecar}` and `{site}`."""

    page: str
    target: str
    at_once: Mapping[str, str]
    leaving: Mapping[str, str] = {}


NAVIGATION = "navigation"
"""Opening the page is an attack itself where the page's own name leads to the sidecar."""

_ELSEWHERE = "http://evil.example:{site}/"
ORIGINS: Mapping[str, Origin] = {
    # After DNS rebinding the page's own name and port are the sidecar's. What is opened there is its refusal; scripts
    # that are put into that document are in the very place of those that came before the name changed.
    "own-name": Origin(
        "http://evil.example:{sidecar}/own-name/navigation",
        "http://evil.example:{sidecar}",
        attacks.FROM_ITS_OWN_NAME,
    ),
    # Browsers need no DNS to find this machine by such a name, and think it as good as https.
    "own-localhost": Origin(
        "http://evil.localhost:{sidecar}/own-localhost/navigation",
        "http://evil.localhost:{sidecar}",
        attacks.FROM_ITS_OWN_NAME,
    ),
    "other-site": Origin(_ELSEWHERE, "http://127.0.0.1:{sidecar}", attacks.FROM_ELSEWHERE, attacks.LEAVING),
    "other-port": Origin(
        "http://localhost:{site}/",
        "http://localhost:{sidecar}",
        {**attacks.FROM_ELSEWHERE, **attacks.IN_A_SECURE_PAGE},
        attacks.LEAVING,
    ),
    # A page that was saved, or came by mail.
    "file": Origin("{file}", "http://localhost:{sidecar}", attacks.A_FEW),
    # Other ways to write this machine's address. To the first two, browsers send no Sec-Fetch-Site.
    "unspecified": Origin(_ELSEWHERE, "http://0.0.0.0:{sidecar}", attacks.A_FEW),
    "mapped": Origin(_ELSEWHERE, "http://[::ffff:127.0.0.1]:{sidecar}", attacks.A_FEW),
    "dotted": Origin(_ELSEWHERE, "http://localhost.:{sidecar}", attacks.A_FEW),
}

OWN = [name for name, origin in ORIGINS.items() if origin.page.endswith(NAVIGATION)]
"""Origins whose pages share theirs with the sidecar, as far as the browser can tell: it lets them read answers."""

ALL = [
    *(f"{name}/{NAVIGATION}" for name in OWN),
    *(f"{name}/{attack}" for name, origin in ORIGINS.items() for attack in (*origin.at_once, *origin.leaving)),
]


class Outcome(NamedTuple):
    """What came of one attack."""

    answers: tuple[int, ...]
    """Statuses that the sidecar's access log tells; empty: the browser sent nothing."""
    reached: bool
    """The upstream saw it."""
    read: str
    """What the page could read."""


async def carry_out(browser: Browser, world: World, site: Site, file: str) -> dict[str, Outcome]:
    """All of them; a browser that does not send one is given some time, and then it is left without answers."""
    places = {"sidecar": world.sidecar.url("http").rpartition(":")[2], "site": str(site.port), "file": file}
    context = await browser.new_context()
    read: dict[str, str] = {}
    for name, origin in ORIGINS.items():
        target = f"{origin.target.format(**places)}/{name}/"
        page = await context.new_page()
        await page.goto(origin.page.format(**places))
        if name in OWN:
            read[f"{name}/{NAVIGATION}"] = await page.inner_text("html")
        found = await page.evaluate(attacks.all_at_once(origin.at_once), target)
        read |= {f"{name}/{attack}": text for attack, text in found.items()}
        await asyncio.gather(
            *(
                _leave(context, origin.page.format(**places), attack, target + key)
                for key, attack in origin.leaving.items()
            )
        )
    await asyncio.gather(*(_logged(world, attack) for attack in ALL))
    await context.close()

    answers: dict[str, list[int]] = defaultdict(list)
    for line in world.sidecar.output.splitlines():
        if line.startswith("{") and (told := json.loads(line))["event"] == "request":
            answers[told["path"]].append(told["status"])
    reached = {call["path"] for call in world.emulator.calls()["calls"] if call["kind"] == "http"}
    return {
        attack: Outcome(tuple(answers[f"/{attack}"]), f"/{attack}" in reached, read.get(attack, "")) for attack in ALL
    }


async def _leave(context: BrowserContext, page_url: str, attack: str, target: str) -> None:
    page = await context.new_page()
    await page.goto(page_url)
    await page.evaluate(attacks.leave(attack), target)
    await page.wait_for_url(target, wait_until="commit")


async def _logged(world: World, attack: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await world.sidecar.printed(f'"path": "/{attack}"')
    except TimeoutError:
        pass
