"""Drills in virtual time: gates that see a bad version, gates that do not, and a Rollout that is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.virtual.cluster import NAMESPACE
from tests.virtual.life import DEMO, Life
from tests.virtual.stage import Stage, in_virtual_time, opened
from tidegate.analysis.reading import Reading
from tidegate.client import RefusedError
from tidegate.client.drills import Drilled, drill
from tidegate.contract import Document, ReleaseRequest
from tidegate.manifests.drill import exercise, watches_beside

GATE = {"templates": [{"templateName": "errors"}]}
TEMPLATE = {
    "metadata": {"name": "errors"},
    "spec": {
        "metrics": [
            {
                "name": "errors",
                "interval": "10s",
                "count": 3,
                "successCondition": "result < 0.05",
                "provider": {"web": {"url": "http://x", "jsonPath": "{$.a}"}},
            }
        ]
    },
}
BESIDE = {"analysis": GATE | {"startingStep": 1}, "steps": [{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}]}
AT_A_STEP = {"steps": [{"setWeight": 20}, {"analysis": GATE}, {"setWeight": 60}, {"pause": {"duration": 10}}]}


def manifest(canary: Document, tag: str = "v1") -> Document:
    routed = {
        "stableService": "stable",
        "canaryService": "canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "vs"}}},
    }
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": f"img:{tag}"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": DEMO.name, "namespace": NAMESPACE},
        "spec": spec | {"strategy": {"canary": {**routed, **canary}}},
    }


def asked(rollout: Document) -> ReleaseRequest:
    return ReleaseRequest(namespace=NAMESPACE, name=DEMO.name, rollout=rollout, by="ana", reason="drill")


def reading(value: float) -> Any:
    def read(_: str, metric: Mapping[str, Any], now: datetime) -> Reading:
        return Reading(metric=metric["name"], result=value, value=f"{value}", started_at=now, finished_at=now)

    return read


@asynccontextmanager
async def promoted(canary: Document, value: float) -> AsyncIterator[Stage]:
    """A world whose first version is stable, and whose gates read that value from then on."""
    given = {"rollout": manifest(canary), "templates": [TEMPLATE]}
    async with opened(given, reading(value)) as stage:
        stage.cluster.apply(manifest(canary))
        await stage.simulation.sleep(60)
        yield stage


async def drilled(life: Life, canary: Document) -> Drilled:
    bad = exercise(manifest(canary, "bad"), 25, timedelta(minutes=10))
    beside = watches_beside(bad)
    return await drill(life.client, asked(manifest(canary)), asked(bad), beside=beside, timeout=timedelta(hours=1))


@pytest.mark.parametrize("canary", [BESIDE, AT_A_STEP], ids=["beside the steps", "at a step"])
@in_virtual_time
async def test_a_gate_that_sees_it_takes_it_back_and_all_is_as_before(canary: Document) -> None:
    async with promoted(canary, 0.2) as stage:
        result = await drilled(stage.life, canary)
        after = await stage.client.status(DEMO)
        [incident] = stage.life.servicenow.incidents
        assert stage.life.servicenow.resolutions
    assert result.caught
    assert result.weight in (10, 20)
    assert result.back_seconds is not None
    assert result.back_seconds < 5
    assert "errors of" in result.reason
    assert (after.phase, after.images) == ("Healthy", {"c": "img:v1"})
    assert incident.short_description.startswith("Exercise: ")


@pytest.mark.parametrize("canary", [BESIDE, AT_A_STEP], ids=["beside the steps", "at a step"])
@in_virtual_time
async def test_a_version_that_no_gate_sees_is_taken_back_by_the_drill(canary: Document) -> None:
    async with promoted(canary, 0.01) as stage:
        result = await drilled(stage.life, canary)
        after = await stage.client.status(DEMO)
    assert not result.caught
    assert "no gate took it back" in result.reason
    assert (after.phase, after.images, after.actual_weight) == ("Healthy", {"c": "img:v1"}, 0)


@in_virtual_time
async def test_a_drill_disturbs_no_release() -> None:
    async with promoted(BESIDE, 0.01) as stage:
        with pytest.raises(RefusedError, match="another version than the manifests"):
            await drill(
                stage.client,
                asked(manifest(BESIDE, "v0")),
                asked(manifest(BESIDE, "bad")),
                beside=True,
                timeout=timedelta(hours=1),
            )
        assert len(stage.life.releases()) == 1
