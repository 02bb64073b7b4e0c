"""Lives of a Rollout with a blue-green strategy in virtual time, where Argo's own are not what people want."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from activities.kubernetes.replica_sets import hash_of
from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.cases.families.analysis_run import ScriptedProvider
from tests.cases.families.rollout_sim import rollout_sim
from tests.cases.results import rules_of
from tests.virtual.cluster import tag_of
from tests.virtual.stage import Stage, in_virtual_time, opened

GATE = {"templates": [{"templateName": "t"}]}
MANUAL = {"autoPromotionEnabled": False}
TEMPLATE = {
    "metadata": {"name": "t"},
    "spec": {
        "metrics": [
            {"name": "m", "inconclusiveLimit": 0, "provider": {"web": {"url": "http://x", "jsonPath": "{$.a}"}}}
        ]
    },
}
OPEN = {"running": 900, "then": "F"}
Action = dict[str, Any]


def given(strategy: dict[str, Any], *actions: Action, script: list[Any] | None = None, until: int = 300) -> Any:
    """The life of two pods, as a case; v2 comes after a minute. `script` is what runs measure."""
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "x"}},
        "strategy": {"blueGreen": {"activeService": "active", "previewService": "preview", **strategy}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "img:v1"}]}},
    }
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "demo"}, "spec": spec}
    return {
        "rollout": rollout,
        "templates": [TEMPLATE],
        "script": {"m": script or ["S"]},
        "actions": [{"at": 60, "set_image": "v2"}, *actions],
        "until": until,
    }


def lived(strategy: dict[str, Any], *actions: Action, script: list[Any] | None = None, until: int = 300) -> list[Any]:
    """States of a life."""
    states: list[Any] = rollout_sim(given(strategy, *actions, script=script, until=until))["trace"]
    return states


def at(states: list[Any], second: int) -> Any:
    """The state that held at a second."""
    return [state for state in states if state["at"] <= second][-1]


def test_a_promotion_ends_a_timed_pause() -> None:
    states = lived({"autoPromotionSeconds": 60}, {"at": 80, "promote": True})
    assert (at(states, 79)["phase"], at(states, 79)["pause"]) == ("Paused", ["BlueGreenPause"])
    assert (at(states, 81)["phase"], at(states, 81)["services"]["active"]) == ("Healthy", "v2")


def test_a_promotion_while_a_pod_is_missing_counts_once_it_is_back() -> None:
    lost = {"version": "v2", "count": 1, "for": 30}
    states = lived(MANUAL, {"at": 100, "lose_pods": lost}, {"at": 110, "promote": True})
    assert at(states, 129)["services"]["active"] == "v1"
    assert (at(states, 131)["phase"], at(states, 131)["services"]["active"]) == ("Healthy", "v2")


def test_a_retry_after_a_failed_gate_is_another_attempt() -> None:
    states = lived({"postPromotionAnalysis": GATE}, {"at": 120, "retry": True}, script=["F", "S"])
    assert (at(states, 66)["phase"], at(states, 66)["services"]["active"]) == ("Degraded", "v1")
    assert (at(states, 130)["phase"], at(states, 130)["stable"]) == ("Healthy", "v2")
    assert at(states, 130)["analysisruns"] == {"demo-v2-2-post": "Failed", "demo-v2-2-post.1": "Successful"}


@pytest.mark.parametrize("count", [1, 2])
def test_after_a_failure_the_service_goes_back_whatever_the_new_pods_do(count: int) -> None:
    lost = {"version": "v2", "count": count, "for": 200}
    gate = {"postPromotionAnalysis": GATE}
    states = lived(gate, {"at": 75, "lose_pods": lost}, script=[{"running": 15, "then": "F"}])
    assert at(states, 79)["services"]["active"] == "v2"
    assert at(states, 81)["services"]["active"] == "v1"
    assert states[-1]["pods"]["v1"] == "2/2"
    assert states[-1]["pods"]["v2"].startswith("0/0")


@asynccontextmanager
async def judged(script: Any) -> AsyncIterator[Stage]:
    """A version that has all of the traffic, and its last gate, which measures what the script says."""
    life = given({"postPromotionAnalysis": GATE}, script=[script])
    provider = ScriptedProvider(life)
    async with opened(life, lambda _, metric, now: provider.measure(rules_of(dict(metric)), {}, now)) as stage:
        states = await stage.simulation.play(life["actions"], 80)
        assert (states[-1]["services"]["active"], states[-1]["stable"]) == ("v2", "v1")
        yield stage


def active(stage: Stage) -> str:
    """The version that gets the traffic."""
    hash_ = stage.cluster.selector("active")
    return next(tag_of(each) for each in stage.cluster.replica_sets() if hash_of(each) == hash_)


@in_virtual_time
async def test_the_service_goes_back_beside_a_pass_that_does_not_end() -> None:
    async with judged(OPEN) as stage:
        hold = stage.cluster.hold("patch", "replicasets")
        stage.simulation.act("set_replicas", 3)
        await hold.begun.wait()
        stage.simulation.act("abort", True)
        await stage.simulation.sleep(0.4)  # sooner than the pass could be given up
        assert active(stage) == "v1"
        hold.go_on.set()
        await stage.simulation.sleep(60)
        assert active(stage) == "v1"
        assert stage.cluster.wanted() == [3, 0]


@in_virtual_time
async def test_a_way_back_that_is_refused_is_told_and_taken_as_soon_as_it_may_be() -> None:
    async with judged(OPEN) as stage:
        stage.cluster.deny("patch", "services", "services are frozen until Monday")
        stage.simulation.act("abort", True)
        await stage.simulation.sleep(60)
        said = (stage.cluster.find(ROLLOUTS, "demo") or {})["status"]
        assert said["phase"] == "Degraded"
        assert "services are frozen until Monday" in said["message"]
        assert active(stage) == "v2"
        assert stage.cluster.wanted() == [2, 2], "what gets the traffic keeps its pods"
        stage.cluster.deny("patch", "services", "")
        await stage.simulation.sleep(90)
        assert active(stage) == "v1"
        assert stage.cluster.wanted() == [2, 0]


def test_a_service_without_its_hash_promotes_nobody() -> None:
    states = lived(MANUAL, {"at": 100, "point_service": {"active": ""}})
    assert at(states, 103)["services"]["active"] == "v1"
    assert (states[-1]["phase"], states[-1]["stable"]) == ("Paused", "v1")


def test_a_rollback_to_waiting_pods_is_fast_although_one_of_them_is_missing() -> None:
    lost = {"version": "v1", "count": 1, "for": 30}
    states = lived(
        {**MANUAL, "scaleDownDelaySeconds": 100},
        {"at": 80, "promote": True},
        {"at": 115, "lose_pods": lost},
        {"at": 120, "undo": True},
    )
    assert at(states, 140)["services"]["active"] == "v2"
    assert (at(states, 147)["phase"], at(states, 147)["services"]["active"]) == ("Healthy", "v1")


def test_a_rollback_to_a_version_that_was_never_promoted_takes_its_gates() -> None:
    states = lived(
        {"prePromotionAnalysis": GATE, "scaleDownDelaySeconds": 200, "abortScaleDownDelaySeconds": 200},
        {"at": 80, "set_image": "v3"},
        {"at": 110, "set_image": "v2"},
        script=["F", "S", "F"],
    )
    assert at(states, 100)["stable"] == "v3"
    assert (states[-1]["phase"], states[-1]["stable"]) == ("Degraded", "v3")


def test_an_inconclusive_gate_is_run_again_when_an_operator_promotes() -> None:
    states = lived({"postPromotionAnalysis": GATE}, {"at": 120, "promote": True}, script=["I", "S"])
    assert (at(states, 119)["phase"], at(states, 119)["services"]["active"]) == ("Paused", "v2")
    assert at(states, 125)["analysisruns"] == {"demo-v2-2-post": "Inconclusive", "demo-v2-2-post.1": "Successful"}
    assert (at(states, 125)["phase"], at(states, 125)["stable"]) == ("Healthy", "v2")


@in_virtual_time
async def test_nothing_is_written_while_an_inconclusive_gate_holds() -> None:
    async with judged("I") as stage:
        rollout = stage.cluster.find(ROLLOUTS, "demo") or {}
        assert rollout["status"]["pauseConditions"][0]["reason"] == "InconclusiveAnalysisRun"
        written: list[str] = []
        stage.cluster.api.store.subscribe(lambda change: written.append(change.kind.kind))
        await stage.simulation.sleep(600)
        assert written == []


def test_an_inconclusive_gate_holds_the_pods_of_older_versions() -> None:
    states = lived(
        {"prePromotionAnalysis": GATE, "scaleDownDelaySeconds": 30},
        {"at": 80, "set_image": "v3"},
        {"at": 200, "promote": True},
        script=["S", "I", "S"],
    )
    assert (at(states, 199)["phase"], at(states, 199)["pods"]["v1"][:3]) == ("Paused", "2/2")
    assert at(states, 199)["scale_down_at"]["v1"] < 100
    assert (states[-1]["stable"], states[-1]["pods"]["v1"]) == ("v3", "0/0")


def test_a_pause_by_hand_holds_the_switch_and_not_the_pods() -> None:
    states = lived({}, {"at": 62, "pause": True}, {"at": 100, "unpause": True})
    assert at(states, 90)["pods"]["v2"] == "2/2"
    assert at(states, 90)["services"] == {"active": "v1", "preview": "v2"}
    assert at(states, 103)["services"]["active"] == "v2"


def test_a_pause_by_hand_is_shown_at_once_and_holds_the_switch_after_a_preview_of_few_too() -> None:
    states = lived(
        {**MANUAL, "previewReplicaCount": 1},
        {"at": 80, "promote": True},
        {"at": 82, "pause": True},
        {"at": 900, "unpause": True},
        until=1000,
    )
    assert (at(states, 82)["phase"], at(states, 82)["pods"]["v2"]) == ("Paused", "1/2")
    assert (at(states, 899)["phase"], at(states, 899)["pods"]["v2"]) == ("Paused", "2/2")
    assert at(states, 899)["services"]["active"] == "v1"
    assert (at(states, 902)["phase"], at(states, 902)["services"]["active"]) == ("Healthy", "v2")


def test_a_version_that_comes_to_a_paused_rollout_gets_its_pods_and_no_service() -> None:
    states = lived({}, {"at": 80, "pause": True}, {"at": 90, "set_image": "v3"}, {"at": 120, "unpause": True})
    assert at(states, 110)["pods"]["v3"] == "2/2"
    assert at(states, 110)["services"] == {"active": "v2", "preview": "v2"}
    assert (states[-1]["phase"], states[-1]["stable"]) == ("Healthy", "v3")


@pytest.mark.parametrize("change", [{"autoPromotionEnabled": None}, {"autoPromotionEnabled": True}])
def test_other_settings_of_the_pause_count_at_once(change: dict[str, Any]) -> None:
    states = lived(MANUAL, {"at": 100, "set_bluegreen": change})
    assert at(states, 99)["pause"] == ["BlueGreenPause"]
    assert (at(states, 102)["phase"], at(states, 102)["stable"]) == ("Healthy", "v2")


def test_a_pause_that_is_wanted_while_the_pods_come_is_made_and_one_that_is_not_any_more_is_not() -> None:
    states = lived({}, {"at": 62, "set_bluegreen": MANUAL}, {"at": 200, "promote": True})
    assert at(states, 199)["pause"] == ["BlueGreenPause"]
    assert at(states, 202)["stable"] == "v2"
    states = lived(MANUAL, {"at": 62, "set_bluegreen": {"autoPromotionEnabled": True}})
    assert not any(state["pause"] for state in states)
    assert at(states, 67)["stable"] == "v2"


def test_a_timed_pause_becomes_one_that_an_operator_ends() -> None:
    states = lived({"autoPromotionSeconds": 60}, {"at": 80, "set_bluegreen": MANUAL}, {"at": 200, "promote": True})
    assert at(states, 199)["pause"] == ["BlueGreenPause"]
    assert at(states, 202)["stable"] == "v2"


def test_a_rollback_leaves_out_what_a_role_had_put_on() -> None:
    roles = {"activeMetadata": {"labels": {"role": "a"}}, "previewMetadata": {"labels": {"role": "p"}}}
    states = lived({**roles, "scaleDownDelaySeconds": 100}, {"at": 100, "undo": True})
    assert (states[-1]["phase"], states[-1]["stable"]) == ("Healthy", "v1")
    assert at(states, 103)["services"] == {"active": "v1", "preview": "v1"}, "without a third version"
