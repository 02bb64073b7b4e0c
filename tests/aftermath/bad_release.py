"""A bad version that is undone, among the systems of people."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from tests.aftermath.systems import Systems
from tests.virtual.releases import World
from tidegate.contract import ErrorType, ReleaseResult

GOOD, BAD = "1.0.0", "1.1.1-bad"


async def bad_release(world: World, systems: Systems) -> WorkflowHandle[Any, ReleaseResult]:
    """A bad version on its way, in Git, too."""
    systems.commit(GOOD)
    await world.deploy_stable()
    systems.commit(BAD)
    world.datadog.answers = {"error-rate": [0.2]}
    return await world.start(world.request(BAD, systems.annotate))


async def undone(handle: WorkflowHandle[Any, ReleaseResult]) -> tuple[str, ReleaseResult]:
    """What an aborted release says in the end."""
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    cause: Any = caught.value.cause
    assert cause.type == ErrorType.ROLLOUT_ABORTED
    return cause.message, ReleaseResult.model_validate(cause.details[0])


def states(result: ReleaseResult) -> dict[str, str]:
    return {row.name: row.state for row in result.status.compensations}
