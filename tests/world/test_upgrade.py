"""A worker is upgraded in mid-release: the release ends on the code on which it began, the next begins on the new."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from temporalio.client import WorkflowHandle
from temporalio.worker import Replayer

from sandbox.processes import until
from tests.world.planes import Plane, checkout, open_plane
from tidegate.client import data_converter
from workers.wiring import workflow_runner

pytestmark = pytest.mark.world
ROOT = Path(__file__).parents[2]
DEPLOYMENT = "tidegate"
OLD_LINE = """        self.state.event("RolloutUpdated", f"Rollout updated to revision {plan.revision}")\n"""
# One more command than the old code gives: its histories cannot be replayed on it.
NEW_LINE = (
    OLD_LINE.replace("{plan.revision}", "{plan.revision}, by the new code")
    + """\
        await workflow.sleep(0.01)
"""
)


def new_code(folder: Path) -> Path:
    """The product with an edit of the release workflow that no running release can survive."""
    for package in ("tidegate", "workflows", "activities", "workers"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    edited = folder / "workflows" / "rollout.py"
    text = edited.read_text()
    assert text.count(OLD_LINE) == 1
    edited.write_text(text.replace(OLD_LINE, NEW_LINE))
    return folder


async def make_current(plane: Plane, build: str) -> None:
    """What Temporal's Worker Controller does when the pods of a version are there."""

    async def known() -> bool:
        return build in await plane.temporal_cli("worker", "deployment", "describe", "--name", DEPLOYMENT, "-o", "json")

    await until(known, 30, f"the server knows the version {build}")
    version = ("--deployment-name", DEPLOYMENT, "--build-id", build)
    await plane.temporal_cli("worker", "deployment", "set-current-version", *version, "--yes")


async def builds(handle: WorkflowHandle[object, object]) -> set[str]:
    """The versions that decided anything in a run."""
    history = json.loads((await handle.fetch_history()).to_json())
    done = [
        event["workflowTaskCompletedEventAttributes"]
        for event in history["events"]
        if "COMPLETED" in event["eventType"] and "workflowTaskCompletedEventAttributes" in event
    ]
    assert done
    return {each["deploymentVersion"]["buildId"] for each in done}


async def test_a_release_ends_on_the_code_on_which_it_began(tmp_path: Path) -> None:
    async with open_plane(tmp_path, "default") as plane:
        versions = {"ROLE": "workflows", "TEMPORAL_DEPLOYMENT_NAME": DEPLOYMENT}
        await plane.start("old", **versions, TEMPORAL_WORKER_BUILD_ID="1")
        await plane.start("activities", ROLE="activities", KUBERNETES__API_URL=plane.clusters["default"].url)
        await make_current(plane, "1")
        await plane.client.wait(await plane.release("default", "1.0.0"))

        under_way = await plane.release("default", "1.1.0")
        await plane.until("default", lambda status: status.actual_weight == 20 and status.phase == "Paused")
        await plane.start("new", cwd=new_code(tmp_path / "new-code"), **versions, TEMPORAL_WORKER_BUILD_ID="2")
        await make_current(plane, "2")
        await plane.client.promote(checkout("default"), by="a test")
        result = await plane.client.wait(under_way)
        assert result.outcome == "Healthy"
        assert "by the new code" not in str(result.status.events)

        following = await plane.release("default", "1.2.0")
        status = await plane.until("default", lambda status: status.actual_weight == 20 and status.phase == "Paused")
        assert "by the new code" in str(status.events)
        before, after = (
            plane.temporal.get_workflow_handle(each.rollout.workflow_id, run_id=each.run_id)
            for each in (under_way, following)
        )
        assert await builds(before) == {"1"}
        assert await builds(after) == {"2"}

        # That the edit would have broken the release is not taken on trust: this code cannot replay the other's.
        from workflows.rollout import Rollout

        replayer = Replayer(workflows=[Rollout], data_converter=data_converter(), workflow_runner=workflow_runner())
        assert (await replayer.replay_workflow(await before.fetch_history())).replay_failure is None
        broken = await replayer.replay_workflow(await after.fetch_history(), raise_on_replay_failure=False)
        assert "Nondeterminism" in repr(broken.replay_failure)
