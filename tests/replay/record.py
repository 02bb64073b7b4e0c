"""Record the histories that `test_replay.py` replays: `python -m tests.replay.record`.

Each turn is taken on the time-skipping server with the seed's manifests; what was recorded before is gone then. The
storms are turns in which much happens at once, on a worker that keeps no release from one task to the next, and whose
first task after it fails as if the worker had died. Record anew only for a turn that is new: an edit of a workflow that
cannot replay a recorded history belongs behind `workflow.patched`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.worker import (
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from sandbox.machine import patience
from tests.virtual.releases import IMAGE, World, release_world
from tests.workflows.edits import blue_green, without_router
from tests.workflows.test_bake import baked as with_bake
from tests.workflows.test_experiment import experiment
from tests.workflows.test_experiment_object import ANALYSIS, Trial
from tests.workflows.test_experiment_object import experiment as experiment_object
from tests.workflows.test_reverts import annotated
from tidegate.contract import Accepted, Signal

HISTORIES = Path(__file__).parent
LONGEST_TURN_SECONDS = 60
TRIES = 4
Turn = Callable[[World], Awaitable[WorkflowHandle[Any, Any]]]


async def first(world: World) -> WorkflowHandle[Any, Any]:
    return await world.start(world.request("1.0.0"))


async def good(world: World) -> WorkflowHandle[Any, Any]:
    await world.deploy_stable()
    return await world.start(world.request("1.1.0"))


async def bad(world: World) -> WorkflowHandle[Any, Any]:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.2]}
    return await world.start(world.request("1.1.0"))


async def at_first_pause(world: World) -> WorkflowHandle[Any, Any]:
    handle = await good(world)
    await world.until(handle, lambda status: status.phase == "Paused")
    return handle


async def reverted(world: World) -> WorkflowHandle[Any, Any]:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.2]}
    return await world.start(world.request("1.1.0", annotated()))


async def aborted(world: World) -> WorkflowHandle[Any, Any]:
    handle = await at_first_pause(world)
    await handle.signal("abort", {"by": "ana", "reason": "smell"})
    return handle


async def promoted(world: World) -> WorkflowHandle[Any, Any]:
    handle = await at_first_pause(world)
    await handle.execute_update("promote", {"full": True, "by": "ana"}, result_type=Accepted)
    return handle


async def superseded(world: World) -> WorkflowHandle[Any, Any]:
    handle = await at_first_pause(world)
    await handle.execute_update("release", world.request("1.2.0"), result_type=Accepted)
    return handle


async def held(world: World) -> WorkflowHandle[Any, Any]:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.02]}
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, lambda status: status.message == "InconclusiveAnalysisRun")
    await handle.signal("promote", {"full": True, "by": "ana", "reason": "looked at it"})
    return handle


async def back(world: World) -> WorkflowHandle[Any, Any]:
    handle = await at_first_pause(world)
    await handle.execute_update("release", world.request("1.0.0"), result_type=Accepted)
    return handle


async def paused(world: World) -> WorkflowHandle[Any, Any]:
    handle = await at_first_pause(world)
    await handle.signal("pause", {"by": "ana"})
    await world.env.sleep(3600)
    await handle.signal("resume", {"by": "ana"})
    return handle


async def compared(world: World) -> WorkflowHandle[Any, Any]:
    await world.deploy_stable()
    return await world.start(world.request("1.1.0", experiment(duration="10m")))


async def beside(world: World) -> WorkflowHandle[Any, Any]:
    """An Experiment object with an analysis, edited and then ended by a person."""
    trial = Trial(world)
    handle = await trial.begin(experiment_object(duration="24h", analyses=[ANALYSIS]))
    await trial.until(lambda status: status.get("phase") == "Running")
    await world.env.sleep(80)
    trial.edit(duration="12h")
    await world.env.sleep(20)
    await handle.signal("terminate")
    return handle


async def baked(world: World) -> WorkflowHandle[Any, Any]:
    await world.deploy_stable()
    return await world.start(world.request("1.1.0", with_bake("30m")))


async def unrouted(world: World) -> WorkflowHandle[Any, Any]:
    await (await world.start(world.request("1.0.0", without_router))).result()
    handle = await world.start(world.request("1.1.0", without_router))
    await world.until(handle, lambda status: status.phase == "Paused")
    await handle.signal("promote")
    return handle


async def switched(world: World) -> WorkflowHandle[Any, Any]:
    """Blue-green: the pause, the switch, and the gate after it."""
    manual = blue_green(autoPromotionEnabled=False)
    await (await world.start(world.request("1.0.0", manual))).result()
    handle = await world.start(world.request("1.1.0", manual))
    await world.until(handle, lambda status: status.phase == "Paused")
    await handle.signal("promote", {"by": "ana"})
    return handle


async def late(world: World) -> WorkflowHandle[Any, Any]:
    def impatient(rollout: dict[str, Any]) -> None:
        rollout["spec"] |= {"progressDeadlineSeconds": 60, "minReadySeconds": 0, "progressDeadlineAbort": True}

    await world.deploy_stable()
    world.cluster.never_ready.add(f"{IMAGE}:1.1.0")
    return await world.start(world.request("1.1.0", impatient))


async def refused(world: World) -> WorkflowHandle[Any, Any]:
    def nameless(rollout: dict[str, Any]) -> None:
        rollout["spec"]["strategy"]["canary"]["canaryService"] = "no-such"

    handle = await at_first_pause(world)
    await handle.execute_update("release", world.request("1.2.0", nameless), result_type=Accepted)
    return handle


async def at_a_gate(world: World) -> WorkflowHandle[Any, Any]:
    handle = await good(world)
    await world.until(handle, lambda status: status.waiting is not None and status.waiting.what.startswith("analysis"))
    return handle


async def in_a_pass(world: World) -> WorkflowHandle[Any, Any]:
    """The first pass is under way, and stays so for a moment; writes to the routes are free."""
    await world.deploy_stable()
    hold = world.cluster.hold("patch", "services")
    handle = await world.start(world.request("1.1.0"))
    async with asyncio.timeout(patience(60)):
        await hold.begun.wait()
    asyncio.get_running_loop().call_later(1, hold.go_on.set)
    return handle


async def crowded(world: World) -> WorkflowHandle[Any, Any]:
    """People and CI at the same moment, in the first pause."""
    handle = await at_first_pause(world)
    await asyncio.gather(
        handle.signal("pause", {"by": "ana"}),
        handle.execute_update("promote", {"by": "bob"}, result_type=Accepted),
        handle.signal("resume", {"by": "ana"}),
        handle.execute_update("release", world.request("1.2.0"), result_type=Accepted),
    )
    return handle


async def overtaken(world: World) -> WorkflowHandle[Any, Any]:
    """A newer version comes while an analysis is under way, and then a promotion of it."""
    handle = await at_a_gate(world)
    await handle.signal("pause")
    await handle.execute_update("release", world.request("1.2.0"), result_type=Accepted)
    await handle.signal("resume", {"by": "ana"})
    await handle.signal("promote", {"full": True, "by": "ana"})
    return handle


async def gated(world: World) -> WorkflowHandle[Any, Any]:
    """An abort, and much else that is too late, while an analysis is under way."""
    handle = await at_a_gate(world)
    await asyncio.gather(
        handle.signal("abort", {"by": "ana"}), handle.signal("promote", {"by": "bob"}), handle.signal("pause")
    )
    return handle


async def torn(world: World) -> WorkflowHandle[Any, Any]:
    """An abort in the middle of a pass."""
    handle = await in_a_pass(world)
    await handle.signal("pause", {"by": "bob"})
    await handle.signal("abort", {"by": "ana"})
    return handle


async def replaced(world: World) -> WorkflowHandle[Any, Any]:
    """A newer version in the middle of a pass."""
    handle = await in_a_pass(world)
    await handle.signal("pause", {"by": "bob"})
    await handle.execute_update("release", world.request("1.2.0"), result_type=Accepted)
    await handle.signal("promote", {"full": True, "by": "ana"})
    return handle


async def switched_back(world: World) -> WorkflowHandle[Any, Any]:
    """Blue-green: an abort, and much else that is too late, while a version is judged after its switch."""
    await (await world.start(world.request("1.0.0", blue_green()))).result()
    handle = await world.start(world.request("1.1.0", blue_green()))
    await world.until(handle, lambda status: status.waiting is not None and status.waiting.what.startswith("analysis"))
    await asyncio.gather(
        handle.signal("abort", {"by": "ana"}), handle.signal("promote", {"by": "bob"}), handle.signal("pause")
    )
    return handle


class DyingOnce(Interceptor):
    """For the worker of the releases: the first task that brings a signal fails, and comes again with what follows."""

    def __init__(self) -> None:
        _Dying.lives = 1

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        """Of every workflow."""
        return _Dying


class _Dying(WorkflowInboundInterceptor):
    lives = 1

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        if input.signal not in (Signal.MEASURED, Signal.FOLLOWED_UP) and _Dying.lives > 0:
            _Dying.lives -= 1
            raise RuntimeError("the worker is gone")
        await super().handle_signal(input)


CALM: tuple[Turn, ...] = (
    *(first, good, bad, reverted, aborted, promoted, superseded),
    *(held, back, paused, compared, beside, baked, unrouted, switched, late, refused),
)
STORMS: tuple[Turn, ...] = (crowded, overtaken, gated, torn, replaced, switched_back)
TURNS = CALM + STORMS


async def record(turn: Turn, folder: Path) -> None:
    """Take one turn and write the histories of the release and of its children."""
    storm: dict[str, Any] = {"ends": (DyingOnce(),), "cached": 0} if turn in STORMS else {"ends": ()}
    async with release_world(**storm) as world:
        handle = await turn(world)
        with suppress(WorkflowFailureError):  # an abort ends like this
            await handle.result()
        history = await handle.fetch_history()
        _write(folder / f"release-{turn.__name__}.json", history)
        children = [
            event.start_child_workflow_execution_initiated_event_attributes.workflow_id
            for event in history.events
            if event.HasField("start_child_workflow_execution_initiated_event_attributes")
        ]
        for number, workflow_id in enumerate(children):
            child = await world.client.get_workflow_handle(workflow_id).fetch_history()
            _write(folder / f"{workflow_id.partition('/')[0]}-{turn.__name__}-{number}.json", child)


def _write(file: Path, history: WorkflowHistory) -> None:
    # Real servers say it there.
    history.events[0].workflow_execution_started_event_attributes.workflow_id = history.workflow_id
    document = _without_stack_traces(json.loads(history.to_json()))
    file.write_text(json.dumps(document, indent=2) + "\n")


def _without_stack_traces(value: Any) -> Any:
    """They hold paths of the machine that recorded, and a replay does not read them."""
    if isinstance(value, dict):
        return {key: _without_stack_traces(each) for key, each in value.items() if key != "stackTrace"}
    return [_without_stack_traces(each) for each in value] if isinstance(value, list) else value


async def main(folder: Path) -> None:
    """Record every turn into a folder."""
    for turn in TURNS:
        await _patiently(turn, folder)


async def _patiently(turn: Turn, folder: Path) -> None:
    """Take a turn again that came to no end: this server stops when an activity ends as it is being cancelled."""
    for left in reversed(range(TRIES)):
        try:
            async with asyncio.timeout(LONGEST_TURN_SECONDS):
                await record(turn, folder)
        except TimeoutError:
            if not left:
                raise
        else:
            return


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as recorded:
        asyncio.run(main(Path(recorded)))
        for stale in HISTORIES.glob("*.json"):
            stale.unlink()
        for each in Path(recorded).iterdir():
            shutil.move(each, HISTORIES)
