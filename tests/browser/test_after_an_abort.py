"""What people read of an aborted release in ServiceNow and in Slack, and the pictures of the documents about them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sandbox.world import SLACK_CHANNEL
from tests.browser.chromium import Box, Page
from tests.world.conftest import Releases

pytestmark = [pytest.mark.world, pytest.mark.asyncio(loop_scope="session")]
WIDTH = 1000
SMALLEST, LARGEST = 20_000, 400_000  # bytes of a picture
HEIGHT = "Math.ceil(document.documentElement.getBoundingClientRect().height)"


async def whole_page(page: Page, url: str, file: Path, *texts: str) -> str:
    """Write a picture of a whole page once it has these texts, and return its text."""
    await page.size(WIDTH, 900)
    await page.open(url)
    text = await page.shows(*texts)
    height = int(await page.evaluate(HEIGHT))
    await page.size(WIDTH, height)
    shot = await page.picture(Box(0, 0, WIDTH, height))
    assert SMALLEST < len(shot) < LARGEST
    await asyncio.to_thread(file.write_bytes, shot)
    return text


async def test_an_aborted_release_in_servicenow_and_slack(releases: Releases, page: Page, pictures: Path) -> None:
    world = releases.world
    result = await releases.ended(await releases.start("1.2.0-bad"))
    incident = result.status.incident
    assert incident is not None
    text = await whole_page(
        page,
        world.servicenow.page_url(incident.number),
        pictures / "incident.png",
        "readings.png",
        "What to do",
    )
    assert "checkout:1.2.0-bad" in text
    assert await page.evaluate("[...document.images].every(each => each.naturalWidth > 300)")
    text = await whole_page(
        page, world.slack.page_url(SLACK_CHANNEL), pictures / "slack-thread.png", "1 reply", "readings.png"
    )
    assert "tidegate explain checkout -n payments" in text
    assert await page.evaluate("[...document.images].every(each => each.naturalWidth > 300)")
