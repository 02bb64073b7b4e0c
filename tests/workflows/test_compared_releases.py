"""Whole releases that compare, in virtual time, with the defaults of the comparison: 100 requests a second."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pytest

from sandbox.datadog.traffic import VersionTraffic
from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.virtual.comparing import RoutedTraffic, compare_in
from tests.virtual.stage import Stage, in_virtual_time, opened
from tidegate.analysis.reading import Reading
from tidegate.contract import Document, ReleaseStatus
from tidegate.report import explain

LOAD = 100.0
LONGEST_SECONDS = 3600
STABLE = VersionTraffic("1", LOAD)
COMPARE = {"plugin": {"tidegate/compare": {"datadog": {"service": "demo", "operation": "http.request"}}}}
COMPARED: Document = {"name": "as-good-as-stable", "provider": COMPARE}
THRESHOLD: Document = {
    "name": "error-rate",
    "interval": "60s",
    "failureCondition": "result >= 0.05",
    "provider": {"web": {"url": "https://metrics.example/errors"}},
}
GATE: Document = {**THRESHOLD, "count": 5, "successCondition": "result < 0.05"}


def rollout(version: str) -> Document:
    templates = {"templates": [{"templateName": "gate"}]}
    steps = [part for weight in (10, 25, 50) for part in ({"setWeight": weight}, {"analysis": templates})]
    canary = {
        "stableService": "stable",
        "canaryService": "canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "vs"}}},
        "analysis": {"templates": [{"templateName": "limits"}], "startingStep": 1},
        "steps": steps,
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "demo"},
        "spec": {
            "replicas": 8,
            "selector": {"matchLabels": {"app": "demo"}},
            "template": pods(version),
            "strategy": {"canary": canary},
        },
    }


def baked(found: Document, *steps: Document) -> Document:
    """A Rollout that bakes for some minutes, with other steps where there are any."""
    changed = copy.deepcopy(found)
    changed["metadata"]["annotations"] = {"tidegate.io/bake": "5m", "tidegate.io/bake-templates": "gate"}
    if steps:
        changed["spec"]["strategy"]["canary"]["steps"] = list(steps)
    return changed


def pods(version: str) -> Document:
    labels = {"app": "demo", "tags.datadoghq.com/version": version}
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "demo", "image": f"img:{version}"}]}}


def template(name: str, metric: Document, **fields: Any) -> Document:
    return {"metadata": {"name": name}, "spec": {"metrics": [metric], **fields}}


def measured(run: str, metric: Mapping[str, Any], at: datetime) -> Reading:
    return Reading(metric=str(metric["name"]), result=0.01, value="0.01", query="errors", started_at=at, finished_at=at)


async def released(stage: Stage, canary: VersionTraffic, alone: VersionTraffic | None = None) -> ReleaseStatus:
    """Bring out version 1, then 2 with this behaviour, at 100 % as `alone`, and let time pass until that has ended."""
    compare_in(stage.life, RoutedTraffic(stage.life, LOAD, STABLE, canary, alone))
    await stage.simulation.play([], 60)
    new = pods("2")
    stage.cluster.change(ROLLOUTS, "demo", lambda found: found | {"spec": {**found["spec"], "template": new}})
    for _ in range(LONGEST_SECONDS):
        await stage.simulation.sleep(1)
        if len(stage.life.releases()) == 2 and stage.life.releases()[-1].closed:
            return await stage.life.account(stage.life.releases()[-1])
    raise AssertionError(await stage.life.account(stage.life.releases()[-1]))


CASE = {"rollout": rollout("1"), "templates": [template("gate", COMPARED), template("limits", THRESHOLD)]}


@in_virtual_time
async def test_a_good_version_is_promoted_within_a_quarter_of_an_hour() -> None:
    async with opened(CASE | {"rollout": baked(CASE["rollout"])}, measured) as stage:
        status = await released(stage, VersionTraffic("2", LOAD))
        assert status.phase == "Healthy", status.message
        assert [row.canary for row in status.weights] == [10, 25, 50, 100]
        assert 600 <= (status.weights[-1].at - status.weights[0].at).total_seconds() <= 900
        gates = [run for run in status.analyses if run.kind == "Step"]
        assert [run.status.metrics[0].measurements[-1].value[:7] for run in gates] == ["Proven,"] * 3
        [bake] = [run.status for run in status.analyses if run.kind == "Bake"]
        sentence = bake.metrics[0].measurements[-1].value
        assert (bake.phase, sentence[:16]) == ("Successful", "Watched, errors:")
        assert sentence in str(explain(status, "Completed"))


@pytest.mark.parametrize(
    ("canary", "sentence"),
    [
        (VersionTraffic("2", LOAD, errors=0.01), "Harm, errors: "),
        (VersionTraffic("2", LOAD, lost=0.9), "Lost: the canary is sent "),
    ],
)
@in_virtual_time
async def test_a_worse_version_is_aborted(canary: VersionTraffic, sentence: str) -> None:
    async with opened(CASE, measured) as stage:
        status = await released(stage, canary)
        assert (status.phase, status.actual_weight) == ("Degraded", 0)
        assert sentence in status.message, status.message
        await asyncio.sleep(600)  # until what follows has been done
        [incident] = stage.life.servicenow.incidents
        assert sentence in incident.description


@in_virtual_time
async def test_harm_that_begins_at_full_traffic_takes_stable_back() -> None:
    case = CASE | {"rollout": baked(rollout("1"), {"setWeight": 20}, {"pause": {"duration": "60s"}})}
    async with opened(case, measured) as stage:
        status = await released(stage, VersionTraffic("2", LOAD), VersionTraffic("2", LOAD, errors=0.05))
        assert [row.canary for row in status.weights] == [20, 100, 0]
        assert "In the bake at 100 %: analysis phase error/failed: " in status.message
        assert "of stable in the hour before; a version within 2 x stable + 1 %" in status.message
        assert (status.weights[-1].at - status.weights[-2].at).total_seconds() < 300


def test_in_the_shadow_a_release_ends_as_without_a_comparison() -> None:
    dry = {"dryRun": [{"metricName": "as-good-as-stable"}]}
    without = shadowed(template("gate", GATE))
    beside = shadowed({"metadata": {"name": "gate"}, "spec": {"metrics": [GATE, COMPARED], **dry}})
    assert beside.shown == without.shown
    assert beside.times == pytest.approx(without.times, abs=1), "but for what travels meanwhile"


class Shadowed(NamedTuple):
    """All that a release shows beside its comparison, and seconds at which it did."""

    shown: list[Any]
    times: list[float]


@in_virtual_time
async def shadowed(gate: Document) -> Shadowed:
    """Release a version with four times the errors by this gate, which lets it through."""
    async with opened(CASE | {"templates": [gate, template("limits", THRESHOLD)]}, measured) as stage:
        status = await released(stage, VersionTraffic("2", LOAD, errors=0.02))
        states = stage.simulation.trace.states
        at = [row.at for row in status.weights]
        at += [at for step in status.steps for at in (step.started_at, step.finished_at) if at is not None]
        times = [moment.timestamp() for moment in at] + [float(state.pop("at")) for state in states]
        weights = [row.canary for row in status.weights]
        runs = [(each.name, each.status.phase, each.status.message) for each in status.analyses]
        events = [(event.reason, event.message) for event in status.events]
        assert (weights, len(events) > 10) == ([10, 25, 50, 100], True)
        return Shadowed([status.phase, status.message, weights, runs, events, states], times)


def blue_green() -> Document:
    """A case whose version is compared once it has all of the traffic."""
    found = rollout("1")
    found["spec"]["strategy"] = {
        "blueGreen": {"activeService": "active", "postPromotionAnalysis": {"templates": [{"templateName": "gate"}]}}
    }
    provider: Document = copy.deepcopy(COMPARE)
    provider["plugin"]["tidegate/compare"]["minBake"] = "3m"
    return {"rollout": found, "templates": [template("gate", {**COMPARED, "provider": provider})]}


@pytest.mark.parametrize(("errors", "phase"), [(0.001, "Healthy"), (0.05, "Degraded")])
@in_virtual_time
async def test_a_version_that_was_switched_to_is_held_against_the_hour_before(errors: float, phase: str) -> None:
    async with opened(blue_green(), measured) as stage:
        status = await released(stage, VersionTraffic("2", LOAD, errors=errors))
        assert status.phase == phase, status.message
        [run] = [each.status for each in status.analyses]
        sentence = run.metrics[0].measurements[-1].value
        if phase == "Healthy":
            assert sentence.startswith("Watched, errors: "), sentence
            assert "in the hour before" in sentence
            assert run.completed_at is not None
            assert run.started_at is not None
            assert 180 <= (run.completed_at - run.started_at).total_seconds() <= 240
        else:
            assert "Blue/green post-promotion analysis phase error/failed: " in status.message
            assert [row.canary for row in status.weights] == [100, 0]
