"""What a release costs: the time from a failing verdict to weights written back, and the events of a happy path.

`python -m benchmarks.release [-n 5] [--blue-green] [-o json]`. Real Temporal, Envoy and OpenBao, the worker a process
of its own, the seed's manifests with short pauses. The moment of the write is when the API server stored it. With
blue-green it is that of the active Service, after a switch whose gate fails.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from temporalio.client import Client

from benchmarks.blue_green import Baskets
from benchmarks.machine import Machine
from sandbox.account import failing_verdict
from sandbox.demo import SCENARIOS, Demo, Scenario
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import VIRTUAL_SERVICES
from sandbox.world import World, open_world
from tidegate.client import RolloutRef, TidegateClient, data_converter

CHECKOUT = RolloutRef(cluster="default", namespace="payments", name="checkout")
GOOD, BAD, *_ = SCENARIOS
MEDIAN_GOAL_MS = 60
EVENT_GOAL = 250


class Figures(BaseModel):
    """Milliseconds from each failing verdict to the weights, and history events of the release that went well."""

    model_config = ConfigDict(frozen=True)

    verdict_to_weights_ms: tuple[float, ...]
    release_events: int
    analysis_events: tuple[int, ...]

    @property
    def events(self) -> int:
        """Parent and children together."""
        return self.release_events + sum(self.analysis_events)

    def __str__(self) -> str:
        each = ", ".join(f"{milliseconds:.0f}" for milliseconds in self.verdict_to_weights_ms)
        parts = " + ".join(str(count) for count in (self.release_events, *self.analysis_events))
        return (
            f"verdict to weights written back: median {statistics.median(self.verdict_to_weights_ms):.0f} ms of "
            f"{len(self.verdict_to_weights_ms)} (goal: under {MEDIAN_GOAL_MS}); each: {each}\n"
            f"history of the happy path: {self.events} events (goal: under {EVENT_GOAL}): {parts}"
        )


class Weights:
    """When the API server stored a VirtualService that sends the canary nothing any more."""

    def __init__(self, world: World) -> None:
        self.zero_at = 0.0
        world.kubernetes.store.subscribe(self._note)

    def _note(self, change: Change) -> None:
        if (
            change.kind is VIRTUAL_SERVICES
            and change.previous
            and _canary(change.previous)
            and not _canary(change.object)
        ):
            self.zero_at = time.time()


async def measured(aborts: int) -> Figures:
    """One good release, then so many that fail at their first gate."""
    console = Console(quiet=True)
    async with open_world() as world:
        await world.start_worker()
        temporal = await Client.connect(world.temporal.address, data_converter=data_converter())
        demo, client, weights = Demo(world, temporal, console), TidegateClient(temporal), Weights(world)
        await demo.prepare()
        good = await _released(demo, GOOD)
        waits = []
        for number in range(aborts):
            tag = BAD.tag.replace("1.2.0", f"1.2.{number}")
            await _released(demo, Scenario(BAD.name, tag, BAD.expected, BAD.story))
            verdict = failing_verdict(await client.status(CHECKOUT))
            if verdict is None:
                raise SystemExit(f"the release of {tag} went back without a failing reading")
            waits.append(1000 * (weights.zero_at - verdict.timestamp()))
    events = good["historyEvents"]
    return Figures(
        verdict_to_weights_ms=tuple(waits),
        release_events=events["release"],
        analysis_events=tuple(events["analyses"].values()),
    )


async def measured_blue_green(aborts: int) -> Figures:
    """The same of a blue-green Rollout with a gate after its switch."""
    async with open_world() as world:
        await world.start_worker()
        baskets = Baskets(world, await Client.connect(world.temporal.address, data_converter=data_converter()))
        await baskets.prepare()
        release, analyses = await baskets.good()
        waits = [await baskets.bad(number) for number in range(aborts)]
    return Figures(verdict_to_weights_ms=tuple(waits), release_events=release, analysis_events=analyses)


async def _released(demo: Demo, scenario: Scenario) -> dict[str, Any]:
    told = await demo.under_load(scenario)
    if told["outcome"] != scenario.expected:
        raise SystemExit(f"the release of {scenario.tag} ended {told['outcome']}: {told['reason']}")
    return told


def _canary(virtual_service: dict[str, Any]) -> int:
    return int(virtual_service["spec"]["http"][0]["route"][1].get("weight", 0))


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--aborts", type=int, default=5, help="releases that fail, at least 1")
    parser.add_argument("--blue-green", action="store_true", help="of a blue-green Rollout instead")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    asked = parser.parse_args()
    if asked.aborts < 1:
        parser.error("--aborts must be at least 1: a median needs a figure")
    before = Machine.now()
    figures = await (measured_blue_green if asked.blue_green else measured)(asked.aborts)
    after = Machine.now()
    if asked.output == "json":
        print(_Report(before=before, after=after, figures=figures).model_dump_json(indent=2))
    else:
        print(figures, f"before: {before}", f"after:  {after}", sep="\n")


class _Report(BaseModel):
    before: Machine
    after: Machine
    figures: Figures


if __name__ == "__main__":
    asyncio.run(_main())
