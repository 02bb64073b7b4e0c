"""What a simulated life runs on: a world in which one Rollout is played."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from tests.virtual.cluster import NAMESPACE
from tests.virtual.life import Life, Measure
from tests.virtual.live import LiveCluster
from tests.virtual.objects import service
from tests.virtual.simulation import Simulation
from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.loop import run_virtually
from tidegate.client import TidegateClient
from tidegate.contract import Document

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


@dataclass
class Stage:
    """A simulation that may begin, and what it runs on."""

    life: Life
    simulation: Simulation

    @property
    def cluster(self) -> LiveCluster:
        """Where the Rollout lives."""
        return self.life.cluster

    @property
    def client(self) -> TidegateClient:
        """How a pipeline speaks to releases."""
        return self.life.client


def in_virtual_time(work: Callable[Given, Coroutine[Any, Any, Answer]]) -> Callable[Given, Answer]:
    """Carry out a coroutine function, a test for one, in a loop whose time is skipped while everybody waits."""

    @functools.wraps(work)
    def carried_out(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        return run_virtually(work(*args, **kwargs))

    return carried_out


@in_virtual_time
async def simulate(given: Mapping[str, Any], measure: Measure) -> list[dict[str, Any]]:
    """Play one case; the settled states in order."""
    async with opened(given, measure) as stage:
        return await stage.simulation.play(given.get("actions") or [], float(given.get("until", 600)))


@asynccontextmanager
async def opened(given: Mapping[str, Any], measure: Measure) -> AsyncIterator[Stage]:
    """Everything around the Rollout of a case, before it is created. Raises AssertionError when a workflow failed."""
    later = {f"img:{tag}": float(seconds) for tag, seconds in (given.get("ready_after_by") or {}).items()}
    life, rollout = (
        Life(Chances(0), measure, ready_after=float(given.get("ready_after", 5)), ready_after_by=later),
        _complete(given["rollout"]),
    )
    life.cluster.never_ready.update(f"img:{tag}" for tag in given.get("never_ready") or [])
    objects = _surroundings(rollout, given.get("missing_services") or (), given.get("ingresses"))
    life.cluster.apply(*objects, *map(_template, given.get("templates") or []))
    try:
        yield Stage(life, Simulation(life, rollout))
    finally:
        await life.close()
    assert not life.temporal.troubles, life.temporal.troubles


def _complete(rollout: Document) -> Document:
    return {**rollout, "metadata": {"namespace": NAMESPACE, **rollout["metadata"]}}


def _surroundings(rollout: Document, missing: Collection[str], ingresses: list[Document] | None) -> list[Document]:
    given = rollout["spec"]["strategy"]
    strategy = given.get("canary") or given.get("blueGreen") or {}
    roles = ("stableService", "canaryService", "activeService", "previewService")
    named = [strategy[role] for role in roles if strategy.get(role)]
    objects: list[Document] = [service(name, rollout) for name in named if name not in missing]
    if ingresses:
        return [*objects, *(_placed(each) for each in ingresses)]
    if strategy.get("trafficRouting") and ingresses is None:
        shares = zip(named, (100, 0), strict=True)
        route = [{"destination": {"host": name}, "weight": weight} for name, weight in shares]
        objects.append(
            {
                "apiVersion": "networking.istio.io/v1beta1",
                "kind": "VirtualService",
                "metadata": {"name": "vs", "namespace": NAMESPACE},
                "spec": {"hosts": ["demo"], "http": [{"route": route}]},
            }
        )
    return objects


def _placed(found: Document) -> Document:
    return {**found, "metadata": {**found["metadata"], "namespace": NAMESPACE}}


def _template(template: Document) -> Document:
    metadata = {"namespace": NAMESPACE, **template["metadata"]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", **template, "metadata": metadata}
