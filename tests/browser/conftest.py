"""One embedded world, and one browser for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.world import open_world
from tests.browser.chromium import Page, executable, opened
from tests.world.conftest import Releases, connected

WIDTH, HEIGHT = 1480, 1500


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for the pictures: `make pictures` names that of the documents."""
    return Path(os.environ.get("TIDEGATE_PICTURES") or tmp_path_factory.mktemp("pictures"))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def releases() -> AsyncIterator[Releases]:
    if not executable():
        pytest.skip("no Chromium is installed: the Temporal UI can only be looked at in a browser")
    async with open_world() as world:
        await world.start_worker()
        found = Releases(world, await connected(world), "checkout")
        await found.prepare()
        yield found


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def page(releases: Releases) -> AsyncIterator[Page]:
    async with opened(WIDTH, HEIGHT) as page:
        yield page
