"""What a person reads of releases in the Temporal UI, and the pictures of docs/temporal-ui.md."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.browser.chromium import Box, Page
from tests.world.conftest import Releases
from tidegate.contract import FOR_AN_OPERATOR, SEARCH_OUTCOME, SEARCH_VERSION, SEARCH_WAITING_FOR, ReleaseStatus

pytestmark = [pytest.mark.world, pytest.mark.asyncio(loop_scope="session")]
SMALLEST, LARGEST = 5_000, 150_000  # bytes of a picture
LEFT, TOP, WIDTH = 270.0, 80.0, 1180.0  # of the page, without the menu
TITLES = """[...document.querySelectorAll('th')].map(cell => {
  const text = document.createRange(), node = cell.firstChild;
  text.setStart(node, 0);
  text.setEnd(node, node.data.trimEnd().length);
  const box = text.getBoundingClientRect();
  return [box.left, box.right];
})"""
ONE = "1–1"  # the rows that are shown, of a list with one
NARROWEST = 4.0  # pixels between the titles of two columns


def workflows(releases: Releases, query: str = "") -> str:
    found = f"?query={quote(query)}" if query else ""
    return f"{releases.world.temporal.ui_url}/namespaces/default/workflows{found}"


async def details(page: Page, releases: Releases, workflow_id: str, run_id: str, *texts: str) -> str:
    """Open the tab with the live details of a run, and return its text once it has these."""
    await page.open(f"{workflows(releases)}/{quote(workflow_id, safe='')}/{run_id}")
    await page.click("User Metadata")
    return await page.shows(*texts)


async def picture(page: Page, file: Path, height: float) -> None:
    shot = await page.picture(Box(LEFT, TOP, WIDTH, height))
    assert SMALLEST < len(shot) < LARGEST
    await asyncio.to_thread(file.write_bytes, shot)


async def columns_are_apart(page: Page) -> None:
    [titles] = [found for found in await page.in_frames(TITLES) if found]
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(titles)]
    assert gaps
    assert min(gaps) >= NARROWEST


def measured(status: ReleaseStatus) -> bool:
    return any(metric.measurements for each in status.analyses for metric in each.status.metrics)


def waits_for_an_operator(status: ReleaseStatus) -> bool:
    return status.waiting is not None and status.waiting.only_operator


async def test_a_release_that_runs_and_one_that_a_person_paused(releases: Releases, page: Page, pictures: Path) -> None:
    handle = await releases.start("1.1.0")
    status = await releases.until(measured)
    analysis = next(each for each in status.analyses if any(metric.measurements for metric in each.status.metrics))
    text = await details(
        page, releases, status.workflow_id, handle.run_id, "revision 2", "Weight on the canary", "setWeight: 25"
    )
    assert "registry.internal/payments/checkout:1.1.0" in text
    await columns_are_apart(page)
    await picture(page, pictures / "temporal-ui-running.png", 1050)

    await releases.client.pause(releases.rollout, by="alice", reason="a customer calls")
    await releases.until(waits_for_an_operator)
    text = await details(page, releases, status.workflow_id, handle.run_id, "Paused by alice")
    assert "a customer calls" in text
    assert "until an operator acts" in text
    assert "tidegate resume" in text
    await picture(page, pictures / "temporal-ui-paused.png", 1050)
    await page.open(workflows(releases, f'{SEARCH_WAITING_FOR.name} = "{FOR_AN_OPERATOR}"'))
    await page.shows(ONE, "rollout/default/payments/checkout")

    await page.open(f"{workflows(releases)}/{quote(status.workflow_id, safe='')}/{handle.run_id}/timeline")
    text = await page.shows("wait until the cluster changes", "make the cluster as step 1 asks: setWeight: 10")
    assert "Failure" not in text, "a wait that goes on is no failure"

    text = await details(page, releases, analysis.workflow_id, "", "Latest readings", "error-rate")
    await columns_are_apart(page)
    await picture(page, pictures / "temporal-ui-analysis.png", 820)
    await releases.client.abort(releases.rollout, by="alice", reason="enough seen")
    await releases.ended(handle)


async def test_an_aborted_release_has_a_reason_and_no_stack_trace(
    releases: Releases, page: Page, pictures: Path
) -> None:
    handle = await releases.start("1.2.0-bad")
    status = (await releases.ended(handle)).status
    text = await details(page, releases, status.workflow_id, handle.run_id, "Compensations", "Degraded")
    assert "registry.internal/payments/checkout:1.2.0-bad" in text
    assert "Incident: INC" in text
    assert "meets failure" in text
    await picture(page, pictures / "temporal-ui-aborted.png", 1400)

    await page.open(f"{workflows(releases)}/{quote(status.workflow_id, safe='')}/{handle.run_id}/timeline")
    text = await page.shows("put all traffic on the stable version", "RolloutAborted")
    assert "Traceback" not in text
    assert ".py" not in text


async def test_the_list_has_a_row_for_a_release_and_is_searched_by_version(
    releases: Releases, page: Page, pictures: Path
) -> None:
    await page.open(workflows(releases))
    await page.shows("follow-up/")
    await page.click("Parent")
    text = await page.shows("rollout/default/payments/checkout", without="follow-up/")
    assert "analysis/" not in text
    await page.open(
        workflows(releases, f'{SEARCH_VERSION.name} = "1.2.0-bad" AND {SEARCH_OUTCOME.name} = "RolloutAborted"')
    )
    await page.shows(ONE, "rollout/default/payments/checkout")


@pytest.mark.usefixtures("undecided")
async def test_a_release_that_is_held_asks_for_a_decision(releases: Releases, page: Page, pictures: Path) -> None:
    handle = await releases.start("1.3.0-bad")
    status = await releases.until(waits_for_an_operator)
    text = await details(page, releases, status.workflow_id, handle.run_id, "Waiting for", "Inconclusive")
    assert "until an operator acts" in text
    assert "tidegate promote" in text
    await picture(page, pictures / "temporal-ui-held.png", 1300)
    await releases.client.abort(releases.rollout, by="alice", reason="20 % of errors")
    await releases.ended(handle)
