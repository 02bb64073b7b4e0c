"""A worker that goes between any two effects of an abort: still one incident, one revert and one message."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from sandbox.vault import Vault
from tests.aftermath.bad_release import BAD, GOOD, bad_release, states, undone
from tests.aftermath.killing import Killing, Point
from tests.aftermath.systems import open_systems
from tests.virtual.releases import release_world
from tidegate.contract import Activity

# The first that follows a verdict, whichever the server hands out first.
BEGINS = (Activity.RESTORE_STABLE, Activity.SEND_NOTIFICATION)
EFFECTS = (
    Activity.RESTORE_STABLE,
    Activity.RECONCILE,
    Activity.OPEN_INCIDENT,
    pytest.param(Activity.NOTE_INCIDENT, marks=pytest.mark.long),
    Activity.REVERT_COMMIT,
    Activity.SEND_NOTIFICATION,
)


async def killed(folder: Path, vault: Vault, at: Point | None) -> Killing:
    """A bad release whose worker goes at that point; every workflow begins anew at each of its tasks."""
    killing = Killing(BEGINS, at)
    async with (
        open_systems(folder, vault) as systems,
        release_world(systems.activities, interceptors=[killing], cached=0) as world,
    ):
        handle = await bad_release(world, systems)
        stable = world.cluster.stable_hash
        _, result = await undone(handle)
        await world.followed_up(handle)
        assert world.cluster.weights() == [10, 0], at
        assert world.cluster.stable_hash == stable, at
        assert world.cluster.selector("checkout-canary") == stable, at
        assert set(states(result).values()) == {"done"}, at
        systems.heard_once(GOOD, BAD)
    return killing


def _folder(parent: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=parent))


@pytest.fixture(scope="module")
def boundaries(tmp_path_factory: pytest.TempPathFactory, vault: Vault) -> list[Point]:
    """All of an abort whose worker never goes."""
    return asyncio.run(killed(tmp_path_factory.mktemp("alive"), vault, None)).met


@pytest.mark.parametrize("effect", EFFECTS)
async def test_at_each_boundary_of_each_effect(
    tmp_path: Path, vault: Vault, boundaries: list[Point], effect: Activity
) -> None:
    points = [point for point in boundaries if point.activity == effect]
    assert points
    happened = 0
    for point in points:
        happened += (await killed(_folder(tmp_path), vault, point)).happened
    # How many passes the way down of the pods takes depends on the moment.
    assert happened == len(points) or (effect is Activity.RECONCILE and happened)
