"""What a person reads of releases in the Temporal UI and on the web page, and the pictures of both documents.

One file, so that all of it has one embedded world.
"""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.browser import temporal_ui, web_page
from tests.browser.chromium import Page
from tests.unit.cli.screens import EXAMPLES
from tests.unit.web.fleets import NOW, fleet, moved, row
from tests.world.conftest import Releases
from tidegate.contract import ReleaseStatus
from tidegate.manifests.documents import from_objects
from tidegate.web.page import PageContext, fleet_page, form_page, release_page
from tidegate.web.verbs import Verb

pytestmark = [pytest.mark.world, pytest.mark.asyncio(loop_scope="session")]
OPERATOR = PageContext(viewer="ana", may_act=True, acts=True)


def measured(status: ReleaseStatus) -> bool:
    return any(metric.measurements for each in status.analyses for metric in each.status.metrics)


def in_step_analysis(status: ReleaseStatus) -> bool:
    return any(each.step is not None and each.status.metrics and measured(status) for each in status.analyses)


def waits_for_an_operator(status: ReleaseStatus) -> bool:
    return status.waiting is not None and status.waiting.only_operator


async def run_of(releases: Releases, workflow_id: str) -> str:
    """The run id of a workflow's newest run."""
    found = await releases.temporal.get_workflow_handle(workflow_id).describe()
    return found.run_id


def holding(releases: Releases) -> Releases:
    """The same releases, but that a person has to end the first pause."""
    held = copy.copy(releases)
    rollout = copy.deepcopy(releases.manifests.rollout().raw)
    rollout["spec"]["strategy"]["canary"]["steps"][1] = {"pause": {}}
    held.manifests = from_objects([rollout, *(each.raw for each in releases.manifests.templates)])
    return held


async def test_a_release_that_is_held_goes_on_by_the_web_page_and_is_paused(
    releases: Releases, page: Page, pictures: Path
) -> None:
    handle = await holding(releases).start("1.1.0")
    status = await releases.until(waits_for_an_operator)
    told = (page, releases, status.workflow_id, handle.run_id)
    text = await temporal_ui.details(*told, "until an operator acts", "tidegate promote")
    assert "registry.internal/payments/checkout:1.1.0" in text
    await temporal_ui.columns_are_apart(page)
    await temporal_ui.picture(page, pictures / "temporal-ui-held.png", 990)
    async with web_page.live(releases) as url:
        await promoted_by_keyboard(page, url)
        status = await releases.until(in_step_analysis)
        events = [event.message for event in status.events]
        assert any("alice: looks well" in each for each in events), events
        await temporal_ui.details(*told, "revision 2", "Weight on the canary", "Step analysis", "setWeight: 25")
        await temporal_ui.picture(page, pictures / "temporal-ui-running.png", 1050)
        gate = next(each for each in status.analyses if each.step is not None)
        run = await run_of(releases, gate.workflow_id)
        await temporal_ui.details(page, releases, gate.workflow_id, run, "Latest readings", "verdict")
        await temporal_ui.picture(page, pictures / "temporal-ui-analysis.png", 720)
        await paused_before_its_eyes(releases, page, url)
    text = await temporal_ui.details(*told, "Paused by alice")
    assert "a customer calls" in text
    assert "tidegate resume" in text
    await temporal_ui.picture(page, pictures / "temporal-ui-paused.png", 1050)
    await releases.client.abort(releases.rollout, by="alice", reason="enough seen")
    await releases.ended(handle)


async def promoted_by_keyboard(page: Page, url: str) -> None:
    """Promote the release on the page, first as one who may not, then as one who may."""
    await page.open(url)
    await page.shows("weight asked", "a pause without duration", "not signed in, read only")
    assert await page.evaluate("document.querySelectorAll('.button').length") == 0
    async with web_page.signed_in(page, web_page.ALICE):
        await page.open(f"{url}/releases/default/payments/checkout")
        await page.shows("alice, may act")
        await web_page.tab_to(page, "promote")
        await web_page.press(page, "Enter")
        await page.shows("Ends the current wait of 1.1.0", "Why")
        assert await page.evaluate("document.activeElement.name") == "reason"
        await page.call("Input.insertText", text="looks well")
        await web_page.press(page, "Enter")
        await page.shows("alice: looks well")
        assert await page.evaluate("document.querySelector('.outcome').getAttribute('role')") == "status"


async def paused_before_its_eyes(releases: Releases, page: Page, url: str) -> None:
    """Look at the page while a person pauses the release: it is read anew by itself."""
    await page.open(url)
    await page.shows("checkout", "weight asked")
    await releases.client.pause(releases.rollout, by="alice", reason="a customer calls")
    await page.shows("paused by", "alice: a customer calls", "tidegate resume checkout -n payments")
    await releases.until(waits_for_an_operator)


@pytest.mark.long
async def test_a_version_that_a_gate_took_back(releases: Releases, page: Page, pictures: Path) -> None:
    handle = await releases.start("1.2.0-bad")
    status = (await releases.ended(handle)).status
    await temporal_ui.details(
        page, releases, status.workflow_id, handle.run_id, "RolloutAborted", "traffic to stable: done", "Incident"
    )
    await temporal_ui.picture(page, pictures / "temporal-ui-aborted.png", 1250)
    async with web_page.live(releases) as url:
        await page.open(f"{url}/releases/default/payments/checkout")
        await page.shows("taken back", "1.2.0-bad at", "it has to be <", "all on stable since", "INC")


async def test_the_pictures_of_the_web_page(releases: Releases, page: Page, pictures: Path) -> None:
    pages = {
        "fleet": fleet_page(fleet(), NOW, OPERATOR),
        "release": release_page(row(moved(EXAMPLES["running"]())), fleet(), NOW, OPERATOR),
        "form": form_page(row(moved(EXAMPLES["holding"]()), "pricing"), Verb.PROMOTE, OPERATOR, []),
    }
    async with web_page.still(pages) as url:
        for name in pages:
            await page.open(f"{url}/{name}")
            await page.shows("Tidegate")
            form = name == "form"
            for colours in ("dark", "light"):
                await web_page.scheme(page, colours)
                await web_page.picture(page, pictures / f"web-{name}-{colours}.png", web_page.WIDE, 420 if form else 0)
            await web_page.picture(page, pictures / f"web-{name}-narrow.png", web_page.NARROW, 520 if form else 1600)
