"""A Rollout changes hands in the middle of its steps, and goes on as Argo's controller would have gone on.

The cases hold whole lives of Rollouts as Argo's own controller led them. Here the first part of each is put into the
status in its name, and a release takes over: what follows has to be what followed there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.kubernetes_api.cluster import Ref, Writer
from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.cases.families.rollout_sim import EXACT, LATE_SECONDS, quirk
from tests.virtual.cluster import NAMESPACE
from tests.virtual.stage import Stage, in_virtual_time, opened
from tests.workflows.test_ownership import nothing_measured
from tidegate.client import RolloutRef
from workflows.handover import ARGO_CONTROLLER

CASES = Path(__file__).parents[3] / "shared" / "cases" / "rollout_sim.yaml"
QUIET_SECONDS = 6  # around the moment in which it changes hands
State = dict[str, Any]


def cases() -> Iterator[Any]:
    """Cases without an analysis, each with a moment in the middle of the steps in which nothing changes for a while."""
    found = yaml.load(CASES.read_text(), Loader=yaml.CSafeLoader)["cases"] if CASES.is_file() else []
    for case in found:
        moment = quiet_moment(case["expected"]["trace"], float(case["input"].get("until", 600)))
        if moment is not None and not case["input"].get("templates") and not quirk(case["input"]):
            yield pytest.param(case, moment, id=case["id"])
    if not found:
        yield pytest.param({}, 0, id="cases", marks=pytest.mark.skip(reason=f"{CASES} is not here"))


def quiet_moment(trace: list[State], until: float) -> float | None:
    """The first second in which a version is under way and nothing changes before and after; None without one."""
    ends = [state["at"] for state in trace[1:]] + [until]
    for state, end in zip(trace, ends, strict=True):
        middle = state["stable"] != state["desired"] and state.get("step") is not None and not state.get("abort")
        if middle and state["phase"] in ("Paused", "Progressing") and end - state["at"] > 2 * QUIET_SECONDS:
            return float(state["at"] + QUIET_SECONDS)
    return None


async def change_hands(stage: Stage) -> None:
    """The release goes without a word, and what it wrote last is Argo's."""
    life, cluster = stage.life, stage.cluster
    await life.stop_watching()
    assert await stage.client.hand_over(RolloutRef(NAMESPACE, "demo"), "to Argo's controller")

    def signed(found: State) -> State:
        return found | {"status": found["status"] | {"message": "by Argo's controller"}}

    by = Writer(ARGO_CONTROLLER, ROLLOUTS.stored_version, "status")
    cluster.api.cluster.patch(Ref(ROLLOUTS, NAMESPACE, "demo"), signed, by)
    life.watch()


@in_virtual_time
async def lived(given: dict[str, Any], moment: float) -> list[State]:
    """The states of a life that changes hands at a second. No ReplicaSet and no size changes with that."""
    async with opened(given, nothing_measured) as stage:
        actions, until = given.get("actions") or [], float(given.get("until", 600))
        playing = asyncio.create_task(stage.simulation.play(actions, until))
        await asyncio.sleep(moment)
        before = sets(stage)
        await change_hands(stage)
        await asyncio.sleep(QUIET_SECONDS - LATE_SECONDS)
        assert sets(stage) == before
        return await playing


def sets(stage: Stage) -> dict[str, int]:
    """Size of each ReplicaSet by its uid."""
    return {found["metadata"]["uid"]: found["spec"]["replicas"] for found in stage.cluster.replica_sets()}


def exact(trace: list[State]) -> list[tuple[int, State]]:
    """The states that differ from the one before in what is compared."""
    found: list[tuple[int, State]] = []
    for state in trace:
        shown = {key: state[key] for key in EXACT if state.get(key)}
        if not found or found[-1][1] != shown:
            found.append((state["at"], shown))
    return found


@pytest.mark.parametrize(("case", "moment"), list(cases()))
def test_a_life_that_changes_hands_goes_on_as_argos_did(case: dict[str, Any], moment: float) -> None:
    wanted, found = exact(case["expected"]["trace"]), exact(lived(case["input"], moment))
    assert [state for _, state in found] == [state for _, state in wanted]
    # A progress deadline begins anew with the release that took over; a timed pause does not.
    late = QUIET_SECONDS if "progressDeadlineSeconds" in case["input"]["rollout"]["spec"] else 0
    assert all(abs(one - other) <= 2 * LATE_SECONDS + late for (one, _), (other, _) in zip(found, wanted, strict=True))
