"""Objects that ask for too much, between an embedded Kubernetes API and a real Temporal: refused where people look."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from activities.kubernetes.client import EVENTS, ROLLOUTS, Object
from tests.unit.manifests.test_limits import containers, nested, steps
from tests.workers.watched import NAMESPACE, Place, rollout
from tidegate.client import RolloutRef

pytestmark = pytest.mark.asyncio(loop_scope="module")


def giant(kind: str) -> Object:
    body: dict[str, Any] = copy.deepcopy(rollout())
    body["metadata"]["name"] = f"giant-{kind}"
    if kind == "steps":
        body["spec"]["strategy"]["canary"]["steps"] = steps(10_000)
    elif kind == "containers":
        body["spec"]["template"]["spec"]["containers"] = containers(2_000)
    else:
        body["spec"]["template"]["spec"]["containers"][0]["x"] = nested(400)
    return body


GIANTS = {
    "steps": "spec.strategy.canary.steps: 10000 steps are more than 300",
    "containers": "spec.template.spec.containers: 2000 containers are more than 100",
    "nested": "nested deeper than 64 levels",
}


def tells(events: Object, name: str, message: str) -> bool:
    found = [each for each in events["items"] if each["involvedObject"]["name"] == name]
    return any(each["reason"] == "InvalidSpec" and message in each["message"] for each in found)


async def test_a_giant_is_refused_in_the_object_once_and_the_others_are_released(place: Place) -> None:
    for kind in GIANTS:
        await place.kube.create(ROLLOUTS.path(NAMESPACE), giant(kind))
    await place.apply()
    async with place.watching(), place.watching():
        await place.healthy()
        for kind, message in GIANTS.items():
            await place.kube.eventually(
                EVENTS.path(NAMESPACE), lambda found, kind=kind, message=message: tells(found, f"giant-{kind}", message)
            )
    for kind in GIANTS:
        assert await place.client.newest(RolloutRef(NAMESPACE, f"giant-{kind}", place.name)) is None
    events = await place.kube.get(EVENTS.path(NAMESPACE))
    told = [each for each in events["items"] if each["involvedObject"]["name"].startswith("giant-")]
    assert len(told) == len(GIANTS)


async def test_a_version_that_is_too_large_is_refused_and_the_one_under_way_goes_on(place: Place) -> None:
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        await place.kube.patch(
            place.path, {"spec": {"template": {"spec": {"containers": [{"name": "shop", "x": nested(400)}]}}}}
        )
        await place.kube.eventually(EVENTS.path(NAMESPACE), lambda found: tells(found, "shop", GIANTS["nested"]))
        # What stands in the object cannot be read, and an abort is carried out to its end all the same.
        await place.client.abort(place.ref)
        await place.until(lambda status: status.get("phase") == "Degraded")
        await place.weight_is(0)
