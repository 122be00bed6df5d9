"""Web pages cannot use the sidecar: a real Chromium, everything that a page can send, and a real sidecar before it.

Each attack is carried out twice. Before a sidecar with its defaults it must end in a refusal, with nothing at the
upstream and nothing read. Before one that is told to accept browsers and any Host it must arrive, or it proves nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.browser import attacks
from tests.browser.conftest import NewWorld
from tests.browser.site import Site
from tests.browser.trying import ALL, NAVIGATION, OWN, Outcome, carry_out
from tests.e2e.world import World

if TYPE_CHECKING:
    from playwright.async_api import Browser

# One worker for all of them, since they share a browser and what it has tried; that takes its time on a busy machine.
pytestmark = pytest.mark.timeout(120)

ACCESS = {"log": {"format": "json", "access": True}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(new_world: NewWorld) -> AsyncIterator[World]:
    """A sidecar with its defaults."""
    async with new_world(top=ACCESS) as w:
        yield w


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outcomes(
    browser: Browser, site: Site, guarded: World, new_world: NewWorld, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Outcome, Outcome]]:
    """Of each attack: before the guarded sidecar, and before one that lets everybody in."""
    saved = tmp_path_factory.mktemp("saved") / "page.html"
    saved.write_text("<!doctype html><p>A saved page.")
    async with new_world(top={**ACCESS, "allow_browsers": True}, upstream={"hosts": ["*"]}) as w:
        first, second = await asyncio.gather(
            carry_out(browser, guarded, site, saved.as_uri()), carry_out(browser, w, site, saved.as_uri())
        )
    return {attack: (first[attack], second[attack]) for attack in ALL}


@pytest.mark.parametrize("attack", ALL)
def test_a_web_page_gets_nothing_through(attack: str, outcomes: dict[str, tuple[Outcome, Outcome]]) -> None:
    guarded, let_in = outcomes[attack]
    assert let_in.reached, "the browser did not send it, so it proves nothing"
    assert set(guarded.answers) == {403}
    assert not guarded.reached
    if guarded.read:
        assert attack.partition("/")[0] in OWN, "browsers let no other origin read anything"
        assert json.loads(guarded.read)["type"] == "urn:cognito-sidecar:error:caller_denied"


def test_a_page_whose_name_leads_here_could_read_if_it_were_let_in(
    outcomes: dict[str, tuple[Outcome, Outcome]],
) -> None:
    read = {attack for attack, (_, let_in) in outcomes.items() if "Hello World!" in let_in.read}
    assert read == {
        f"{origin}/{way}"
        for origin in OWN
        for way in attacks.FROM_ITS_OWN_NAME.keys() | {NAVIGATION}
        if not way.startswith(("img", "script", "websocket", "eventsource"))
    }


def test_no_body_is_taken_for_a_request(outcomes: dict[str, tuple[Outcome, Outcome]], guarded: World) -> None:
    assert outcomes
    assert "/smuggled" not in guarded.sidecar.output


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
async def test_a_person_may_open_an_address(host: str, browser: Browser, guarded: World) -> None:
    address = guarded.sidecar.url("http").replace("127.0.0.1", host) + f"/opened-as-{host}"
    page = await browser.new_page()
    answer = await page.goto(address)
    assert answer is not None
    assert answer.status == 200
    assert "Hello World!" in await page.inner_text("body")
    assert (await answer.request.all_headers())["sec-fetch-site"] == "none"
    await page.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_an_address_opened_by_a_person_may_lead_here(browser: Browser, site: Site, guarded: World) -> None:
    """The limit of what browsers tell: this is no page's request to them. It is a GET, and who sent it cannot read."""
    page = await browser.new_page()
    target = guarded.sidecar.url("http") + "/led-here"
    answer = await page.goto(f"http://evil.example:{site.port}/redirect?status=302&to={target}")
    assert answer is not None
    assert (answer.status, page.url) == (200, target)
    sent = await answer.request.all_headers()
    assert (answer.request.method, sent["sec-fetch-site"], sent.get("origin")) == ("GET", "none", None)
    await page.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_name_of_its_own_lets_blind_gets_in(browser: Browser, site: Site, new_world: NewWorld) -> None:
    """Another limit: over plain http to a name that is not of this machine alone, browsers send no Sec-Fetch-Site."""
    ways = ("img", "fetch-no-cors", "fetch", "fetch-no-cors-post", "form-post-text", "websocket")
    async with new_world(top=ACCESS, upstream={"hosts": ["sidecar.example"]}) as w:
        page = await browser.new_page()
        await page.goto(f"http://evil.example:{site.port}/")
        target = w.sidecar.url("http").replace("127.0.0.1", "sidecar.example") + "/"
        read = await page.evaluate(attacks.all_at_once(attacks.FROM_ELSEWHERE, ways), target)
        for way in ways:
            await w.sidecar.printed(f'"path": "/{way}"')
        await page.close()
        assert set(read.values()) == {""}
        arrived = {call["path"] for call in w.emulator.calls()["calls"] if call["kind"] == "http"}
        assert arrived == {"/img", "/fetch-no-cors"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("question", ["Private-Network", "Local-Network"])
async def test_a_preflight_that_asks_for_this_network_is_refused(question: str, guarded: World) -> None:
    asked = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "GET",
        f"Access-Control-Request-{question}": "true",
        "Sec-Fetch-Site": "cross-site",
    }
    async with guarded.session.options(guarded.sidecar.url("http") + "/preflight", headers=asked) as answer:
        assert answer.status == 403
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert "/preflight" not in [call.get("path") for call in guarded.emulator.calls()["calls"]]
