"""A release in the Temporal UI: where its pages are, and pictures of them."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from urllib.parse import quote

from tests.browser.chromium import Box, Page
from tests.world.conftest import Releases

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
WINDOW = 1480, 1500


async def details(page: Page, releases: Releases, workflow_id: str, run_id: str, *texts: str) -> str:
    """Open the tab with the live details of a run, and return its text once it has these."""
    await page.size(*WINDOW)
    workflows = f"{releases.world.temporal.ui_url}/namespaces/default/workflows"
    await page.open(f"{workflows}/{quote(workflow_id, safe='')}/{run_id}")
    await page.click("User Metadata")
    return await page.shows(*texts)


async def picture(page: Page, file: Path, height: float) -> None:
    """Take a picture of the details, without the menu."""
    shot = await page.picture(Box(LEFT, TOP, WIDTH, height))
    assert SMALLEST < len(shot) < LARGEST
    await asyncio.to_thread(file.write_bytes, shot)


async def columns_are_apart(page: Page) -> None:
    [titles] = [found for found in await page.in_frames(TITLES) if found]
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(titles)]
    assert gaps
    assert min(gaps) >= NARROWEST
