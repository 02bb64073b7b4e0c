"""Systems of people that are in trouble while a release is undone: they hear of it when they are well, and once."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import (
    WorkflowUpdateFailedError,
)

from sandbox.vault import Vault
from tests.aftermath.bad_release import BAD, GOOD, bad_release, states, undone
from tests.aftermath.gate import Trouble
from tests.aftermath.systems import open_systems
from tests.virtual.releases import release_world
from tidegate.contract import Compensation, ReleaseResult, ReleaseStatus, Update

SECONDS_TO_STABLE = 5
REQUESTS = 3  # that meet with the trouble
PEOPLE = {Compensation.INCIDENT, Compensation.REVERT}
LATE = {"servicenow": {Compensation.INCIDENT}, "git": {Compensation.REVERT}, "vault": PEOPLE}
SYSTEMS = [*LATE, "slack"]


def done(status: ReleaseStatus) -> set[str]:
    """The compensations that are."""
    return {row.name for row in status.compensations if row.state == "done"}


def seconds_to_stable(result: ReleaseResult) -> float:
    """From the verdict to all traffic on stable, read back."""
    [verdict] = [event.at for event in result.status.events if event.reason == "RolloutAborted"]
    [traffic] = [row for row in result.status.compensations if row.name == Compensation.TRAFFIC]
    assert traffic.at is not None
    return (traffic.at - verdict).total_seconds()


@pytest.mark.parametrize("trouble", list(Trouble))
@pytest.mark.parametrize("system", SYSTEMS)
async def test_traffic_does_not_wait_for_a_system_that_is_in_trouble(
    tmp_path: Path, vault: Vault, system: str, trouble: Trouble
) -> None:
    async with open_systems(tmp_path, vault) as systems, release_world(systems.activities) as world:
        handle = await bad_release(world, systems)
        systems.gates[system].trouble, systems.gates[system].lasts = trouble, REQUESTS
        message, result = await undone(handle)
        await world.followed_up(handle)
        assert systems.gates[system].met == REQUESTS
        assert world.cluster.weights() == [10, 0]
        assert seconds_to_stable(result) < SECONDS_TO_STABLE
        assert set(states(result).values()) == {"done"}
        assert "not done yet" not in message
        systems.heard_once(GOOD, BAD)


@pytest.mark.parametrize("system", LATE)
async def test_a_newer_release_waits_for_nobody_and_they_hear_of_it_later(
    tmp_path: Path, vault: Vault, system: str
) -> None:
    async with open_systems(tmp_path, vault) as systems, release_world(systems.activities) as world:
        systems.gates[system].trouble = Trouble.DOWN
        handle = await bad_release(world, systems)
        others = PEOPLE - LATE[system]
        await world.until(handle, lambda status: systems.gates[system].met > 0 and others <= done(status))
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(Update.RELEASE, world.request("1.1.2"))
        message, result = await undone(handle)
        late = {name for name, state in states(result).items() if state == "running"}
        assert late == LATE[system]
        assert all(name in message.partition("not done yet: ")[2] for name in late)

        systems.gates[system].mend()
        await world.followed_up(handle)
        systems.heard_once(GOOD, BAD)
