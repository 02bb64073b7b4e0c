"""A release in Temporal's own list: version, person, kind of wait, outcome and memo, readable without a worker."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from tests.virtual.releases import IMAGE, World
from tests.workflows.edits import without_router
from tidegate.contract import (
    FOR_AN_OPERATOR,
    SEARCH_BY,
    SEARCH_OUTCOME,
    SEARCH_VERSION,
    SEARCH_WAITING_FOR,
    Document,
    Signal,
)


def paused(rollout: Document) -> None:
    without_router(rollout)
    canary = rollout["spec"]["strategy"]["canary"]
    canary.pop("analysis", None)
    canary["steps"] = [{"setWeight": 50}, {"pause": {}}]


async def listed(world: World, handle: WorkflowHandle[Any, Any]) -> dict[str, list[Any]]:
    """All values that each search attribute and each entry of the memo was given, in order; None where it was unset."""
    values: dict[str, list[Any]] = defaultdict(list)
    converter = world.client.data_converter
    async for event in handle.fetch_history_events():
        upserted = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
        remembered = event.workflow_properties_modified_event_attributes.upserted_memo.fields
        for name, payload in (*upserted.items(), *remembered.items()):
            [value] = await converter.decode([payload])
            values[name].append(value)
    return values


async def failure_of(handle: WorkflowHandle[Any, Any]) -> str:
    """The failure of a workflow, as the server has it."""
    events = [event async for event in handle.fetch_history_events()]
    return str(events[-1].workflow_execution_failed_event_attributes.failure)


async def test_a_release_is_listed_with_version_person_wait_and_outcome(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", paused))
    await world.until(handle, lambda status: status.waiting is not None and status.waiting.only_operator)
    values = await listed(world, handle)
    assert values[SEARCH_VERSION.name] == ["1.1.0"]
    assert values[SEARCH_BY.name] == ["ci"]
    assert values[SEARCH_WAITING_FOR.name][-1] == FOR_AN_OPERATOR
    assert values["images"] == [{"checkout": f"{IMAGE}:1.1.0"}]
    assert SEARCH_OUTCOME.name not in values
    await handle.signal(Signal.PROMOTE, {"by": "sre"})
    await handle.result()
    values = await listed(world, handle)
    assert values[SEARCH_OUTCOME.name] == ["Healthy"]
    assert values[SEARCH_WAITING_FOR.name][-1] is None


async def test_an_aborted_release_is_listed_with_its_outcome_and_the_sentence_on_it(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", paused))
    await world.until(handle, lambda status: status.waiting is not None and status.waiting.only_operator)
    await handle.signal(Signal.ABORT, {"by": "sre", "reason": "customers call"})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert "Traceback" not in (result := await failure_of(handle))
    assert '.py"' not in result
    values = await listed(world, handle)
    assert values[SEARCH_OUTCOME.name] == ["RolloutAborted"]
    assert "customers call" in values["message"][-1]
    attributes = [value for name, each in values.items() if name.startswith("Tidegate") for value in each]
    assert not [value for value in attributes if "customers" in str(value)], "search attributes are not encrypted"


async def test_a_refused_release_is_listed_with_its_outcome_alone(world: World) -> None:
    handle = await world.start({"namespace": "payments", "name": "checkout", "rollout": {"spec": "none"}})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    values = await listed(world, handle)
    assert values[SEARCH_OUTCOME.name] == ["InvalidSpec"]
    assert "TidegatePhase" not in values, "what has no phase was never under way, and nobody has to put anything back"
