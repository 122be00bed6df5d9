"""The admin listener in a real Chromium: foreign pages read nothing of it, and its own page runs nothing but its own.

What is hostile here comes the ways that there are: names and scopes in a token endpoint's answer, and a configuration
whose problems are shown.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.browser import attacks
from tests.browser.conftest import NewWorld
from tests.browser.site import Site
from tests.e2e.world import World

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]

RUNS = "<img/src=x/onerror=document.title='taken'>"
"""Markup without a space or a double quote, so that it is a scope by the letter of RFC 6749."""

HOSTILE_PATH = f"/nowhere/\"'><script>document.title='taken'</script>{RUNS}\u202etxt.exe&lt;"


def hostile_grant() -> dict[str, Any]:
    """A token endpoint's answer whose scopes are markup."""
    body = {"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 3600, "scope": f"{RUNS} </dd><h1>Taken</h1>"}
    return {
        "fault": "answer",
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body),
        "count": "all",
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hostile(new_world: NewWorld) -> AsyncIterator[World]:
    """A sidecar whose token endpoint is hostile."""
    async with new_world(before=lambda emulator: emulator.set_faults({"token": [hostile_grant()]})) as w:
        yield w


class Opened:
    """A page, and what the browser complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.blocked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("requestfailed", lambda request: self.blocked.append(f"{request.url} {request.failure}"))


@asynccontextmanager
async def opened(browser: Browser, address: str) -> AsyncIterator[Opened]:
    page = await browser.new_page()
    shown = Opened(page)
    await page.goto(address)
    try:
        yield shown
    finally:
        await page.close()


# ------------------------------------------------------------------------------------------------- the page itself


async def test_hostile_texts_are_shown_and_nothing_else(browser: Browser, hostile: World) -> None:
    async with opened(browser, hostile.sidecar.admin + "/") as shown:
        assert await shown.page.title() == "Ready · cognito-sidecar"
        assert f"{RUNS} </dd><h1>Taken</h1>" in (await shown.page.inner_text("main"))
        assert await shown.page.locator("main img, main script").count() == 0
        assert await shown.page.locator("h1").count() == 1
        assert shown.complaints == shown.blocked == []


async def test_the_page_renews_itself_and_shows_a_hostile_reload(browser: Browser, hostile: World) -> None:
    async with opened(browser, hostile.sidecar.admin + "/") as shown:
        await shown.page.evaluate("document.querySelector('main').id = 'old'")
        good = hostile.sidecar.config_file.read_text()
        broken = json.loads(json.dumps(hostile.sidecar.config))
        broken["upstreams"]["http"]["auth"]["client_secret"] = {"file": HOSTILE_PATH}
        hostile.sidecar.rewrite(broken)
        await hostile.sidecar.printed("reload_failed")
        await shown.page.evaluate("void document.dispatchEvent(new Event('visibilitychange'))")
        await shown.page.wait_for_selector("main:not(#old)")
        hostile.sidecar.config_file.write_text(good)

        told = await shown.page.inner_text(".note")
        assert HOSTILE_PATH.partition("\u202e")[0] in told
        assert "\u202e" not in told, "it would turn round what follows"
        assert await shown.page.title() == "Ready · cognito-sidecar"
        assert await shown.page.locator("main img, main script").count() == 0
        assert shown.complaints == shown.blocked == []


@pytest.mark.parametrize(
    "markup",
    [
        "<img src=x onerror=\"document.title = 'taken'\">",
        "<iframe src=\"javascript:parent.document.title = 'taken'\"></iframe>",
        "<details open ontoggle=\"document.title = 'taken'\"></details>",
    ],
)
async def test_even_markup_would_not_run(markup: str, browser: Browser, hostile: World, site: Site) -> None:
    put = """markup => new Promise(done => {
      document.addEventListener("securitypolicyviolation", event => done(event.effectiveDirective));
      new MutationObserver(() => document.title == "taken" && done("it ran"))
        .observe(document.querySelector("title"), {childList: true});
      document.body.insertAdjacentHTML("beforeend", markup);
    })"""
    async with opened(browser, f"http://localhost:{site.port}/") as elsewhere:
        assert await elsewhere.page.evaluate(put, markup) == "it ran"
    async with opened(browser, hostile.sidecar.admin + "/") as shown:
        assert (await shown.page.evaluate(put, markup)).startswith(("script-src", "frame-src"))
        assert await shown.page.title() == "Ready · cognito-sidecar"


@pytest.mark.parametrize("path", ["/status", "/metrics", "/readyz", "/nothing/<img src=x onerror=alert(1)>"])
async def test_other_views_are_no_markup(path: str, browser: Browser, hostile: World) -> None:
    async with opened(browser, hostile.sidecar.admin + path) as shown:
        assert await shown.page.locator("img, script").count() == 0
        assert await shown.page.locator("pre").count() == 1, "as browsers show what is no page"


async def test_an_error_is_no_markup(browser: Browser, hostile: World) -> None:
    async with opened(browser, f"{hostile.sidecar.url('http')}/{RUNS}%2f") as shown:
        assert "bad_request" in await shown.page.inner_text("body")
        assert await shown.page.locator("img, script").count() == 0
        assert await shown.page.locator("pre").count() == 1


# ------------------------------------------------------------------------------------------------- foreign pages


async def _tries(page: Page, names: tuple[str, ...], address: str) -> dict[str, str]:
    read: dict[str, str] = await page.evaluate(attacks.all_at_once(attacks.FROM_ELSEWHERE, names), address)
    return read


READING = (
    "fetch",
    "fetch-no-cors",
    "fetch-with-credentials",
    "xhr",
    "img",
    "stylesheet",
    "iframe",
    "window-open",
    "eventsource",
)


@pytest.mark.parametrize("origin", ["http://evil.example:{site}/", "http://localhost:{site}/"])
@pytest.mark.parametrize("path", ["/", "/status", "/metrics", "/readyz", "/icon.svg"])
async def test_a_foreign_page_reads_nothing(
    origin: str, path: str, browser: Browser, hostile: World, site: Site
) -> None:
    target = f"{hostile.sidecar.admin}{path}?by="
    async with opened(browser, origin.format(site=site.port)) as shown:
        read = await _tries(shown.page, READING, target)
        assert read == dict.fromkeys(READING, "")
        for way in ("fetch-no-cors", "img", "stylesheet"):
            assert f"{target}{way} net::ERR_BLOCKED_BY_RESPONSE" in " ".join(shown.blocked), way


async def test_its_own_page_reads_it_so_the_others_could(browser: Browser, hostile: World) -> None:
    async with opened(browser, hostile.sidecar.admin + "/") as shown:
        read = await _tries(shown.page, READING, f"{hostile.sidecar.admin}/status?by=")
        assert {way for way, text in read.items() if '"upstreams"' in text} >= {"fetch", "xhr", "window-open"}


async def test_a_page_whose_name_leads_here_reads_nothing(browser: Browser, hostile: World) -> None:
    port = urlsplit(hostile.sidecar.admin).port
    for name in ("evil.example", "evil.localhost"):
        async with opened(browser, f"http://{name}:{port}/") as shown:
            for path in ("/", "/status", "/metrics"):
                read = await _tries(shown.page, ("fetch", "xhr", "iframe"), f"http://{name}:{port}{path}?by=")
                assert set(read.values()) <= {"", "the Host of the request is not this machine's (see admin.hosts)\n"}
            probe = await _tries(shown.page, ("fetch",), f"http://{name}:{port}/readyz?by=")
            assert probe["fetch"] == "ready\n"


async def test_it_speaks_no_websocket(browser: Browser, hostile: World, site: Site) -> None:
    for address in (f"http://localhost:{site.port}/", hostile.sidecar.admin + "/"):
        async with opened(browser, address) as shown:
            assert await _tries(shown.page, ("websocket",), hostile.sidecar.admin + "/status?by=") == {"websocket": ""}
            assert "Unexpected response code: 200" in " ".join(shown.complaints)


async def test_it_is_in_no_frame_and_its_window_is_its_own(browser: Browser, hostile: World, site: Site) -> None:
    async with opened(browser, f"http://localhost:{site.port}/") as shown:
        frame = """u => new Promise(done => document.body.append(Object.assign(
            document.createElement("iframe"), {src: u, onload: done})))"""
        await shown.page.evaluate(frame, hostile.sidecar.admin + "/")
        await shown.page.frames[1].wait_for_url("chrome-error://chromewebdata/")

        async with shown.page.expect_popup() as popup:
            await shown.page.evaluate("u => { window.popup = open(u); }", hostile.sidecar.admin + "/")
        await (await popup.value).wait_for_selector("main")
        assert await shown.page.evaluate("popup.closed"), "to the page that opened it, it is gone"
        assert await (await popup.value).evaluate("opener === null")
