"""How much of an API server one release takes: what it writes, and how often it has to ask."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sandbox.kubernetes_api.objects import Object, meta
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import World
from tests.workflows.edits import canary_of, with_steps
from tests.workflows.test_kubectl import EVENTS, stand
from tidegate.contract import WORKER_AGENT
from tidegate.report.kubernetes_events import BETWEEN

STEPS = ({"setWeight": 25}, {"pause": {"duration": "5s"}}, {"setWeight": 50}, {"pause": {"duration": "5s"}})


def without_router(rollout: dict[str, Any]) -> None:
    with_steps(*STEPS, {"setWeight": 75})(rollout)
    for field in ("trafficRouting", "stableService", "canaryService", "analysis"):
        canary_of(rollout).pop(field, None)


def events(world: World) -> list[Object]:
    """Those that stand in the cluster, oldest first."""
    return sorted(world.cluster.api.store.select(EVENTS, NAMESPACE), key=lambda e: int(meta(e)["resourceVersion"]))


def asked(world: World) -> Counter[tuple[str, str]]:
    """How often the worker asked so far, by verb and kind, with its subresource."""
    found: Counter[tuple[str, str]] = Counter()
    for call, times in world.cluster.api.calls_by[WORKER_AGENT].items():
        if call.verb != "watch":
            found[call.verb, "/".join(filter(None, (call.resource, call.subresource)))] += times
    return found


async def test_a_release_writes_what_changes_and_tells_it_together(world: World) -> None:
    await stand(world)
    before = asked(world)
    world.cluster.writes.clear()
    result = await (await world.start(world.request("1.1.0", without_router))).result()
    assert result.outcome == "Healthy"
    made = asked(world) - before
    told, moves = made["create", "events"], [what for what, _ in world.cluster.writes].count("scale")
    assert told < len(result.status.events), "an Event for each"
    # Each ReplicaSet is written when its number changes, and once as it becomes stable, whatever its status does.
    assert made["patch", "replicasets"] == moves + 1
    assert made["get", "replicasets"] == 0
    assert made["list", "services"] == made["list", "destinationrules"] == 0, "the worker follows them"


async def test_events_of_one_reason_are_told_together_and_none_is_lost(world: World) -> None:
    await stand(world)
    stood = len(events(world))
    result = await (await world.start(world.request("1.1.0", without_router))).result()
    told = [(each["reason"], text) for each in events(world)[stood:] for text in each["message"].split(BETWEEN)]
    assert Counter(told) == Counter((each.reason, each.message) for each in result.status.events)
    assert len(events(world)) - stood < len(told)
