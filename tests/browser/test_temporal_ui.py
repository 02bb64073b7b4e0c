"""What a person reads of releases in the Temporal UI, and the pictures of docs/temporal-ui.md."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.browser.chromium import Box, Page
from tests.world.conftest import Releases
from tidegate.contract import ReleaseStatus

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
NARROWEST = 4.0  # pixels between the titles of two columns


def workflows(releases: Releases) -> str:
    return f"{releases.world.temporal.ui_url}/namespaces/default/workflows"


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
    await releases.client.abort(releases.rollout, by="alice", reason="enough seen")
    await releases.ended(handle)
