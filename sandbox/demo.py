"""The demonstration: good, bad and slow images through the seed's gates, a worse one through a comparison, accounts."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client

from sandbox.account import account
from sandbox.machine import patience, slowness
from sandbox.processes import Program, until
from sandbox.starting import WORKER_SECONDS, started_world
from sandbox.world import SLACK_CHANNEL, World
from tidegate.cli.paint import has_screen
from tidegate.cli.watch import Frame, follow, watch_release
from tidegate.client import ReleaseError, ReleaseHandle, TidegateClient, data_converter
from tidegate.client.starts import UPDATE_TIMEOUT
from tidegate.contract import Compensation, ReleaseRequest, ReleaseStatus, Source
from tidegate.manifests.documents import Manifests, load
from tidegate.manifests.images import apply_images
from tidegate.manifests.version_tag import VERSION_LABEL

EXAMPLES = Path(__file__).parents[1] / "examples"
REGISTRY = "registry.internal/payments"
RATE = 300.0  # requests for each second to the service that is released
COMPARED_RATE = 600.0  # and to one that is compared: it takes many to tell 2 % from 4 %
IDLE_RATE = 60.0  # to the others
BEFORE_SECONDS = 30.0  # a stable version has had traffic for so long before another one is compared with it
LAST_FRAME_SECONDS = 10.0  # for the frame that shows the end, on an idle machine
WIDTH_OF_TABLE = 130  # characters that the table of the account needs


@dataclass(frozen=True)
class Scenario:
    """One release of the demonstration and what it has to come to.

    `rate` are requests a second to its service, `before` seconds of traffic that the stable version has had by then.
    `story` says to a person what is wrong with the version, and what is to come of it.
    """

    name: str
    tag: str
    expected: str
    story: str
    rollout: str = "checkout"
    rate: float = RATE
    before: float = 0.0


FIRST = (
    Scenario("first", "1.0.0", "Healthy", "the version to begin with"),
    Scenario("first", "1.0.0", "Healthy", "the version to begin with", "cart"),
)
SCENARIOS = (
    Scenario("good", "1.1.0", "Healthy", "nothing is wrong with it: it passes each gate and gets all traffic"),
    Scenario("bad", "1.2.0-bad", "RolloutAborted", "a fifth of its answers are errors: the background gate stops it"),
    Scenario("slow", "1.3.0-slow", "RolloutAborted", "it answers, but slowly: the gate on latency stops it"),
    Scenario(
        "worse",
        "1.1.0-worse",
        "RolloutAborted",
        "4 % errors where stable has 2 %: below each threshold, only a comparison sees it",
        "cart",
        COMPARED_RATE,
        BEFORE_SECONDS,
    ),
)


class Demo:
    """The releases of one world, one after the other."""

    def __init__(self, world: World, temporal: Client, console: Console) -> None:
        self._world = world
        self._temporal = temporal
        self._client = TidegateClient(temporal)
        self._console = console
        self._manifests = {each.rollout: load([EXAMPLES / each.rollout / "fast"]) for each in FIRST}
        self._loads: dict[str, Program] = {}
        self._rates: dict[str, float] = {}

    async def prepare(self) -> None:
        """The stable versions, and load on them."""
        for scenario in FIRST:
            self._console.print(Text(f"{scenario.rollout} {scenario.tag}: {scenario.story}", style="dim"))
            await self._world.apply(network_of(self._manifests[scenario.rollout]))
            await self._released(scenario, None)
        for scenario in FIRST:
            await self._load(scenario.rollout, IDLE_RATE)

    async def under_load(self, scenario: Scenario) -> dict[str, Any]:
        """One release while most of the load is on its service."""
        for name in self._manifests:
            await self._load(name, scenario.rate if name == scenario.rollout else IDLE_RATE)

        async def known() -> bool:
            began = time.time() - scenario.before
            return self._world.telemetry.window(scenario.rollout, None, 0.0, began).requests > 0

        await until(known, 2 * BEFORE_SECONDS, f"traffic to {scenario.rollout}")
        return await self.release(scenario)

    async def release(self, scenario: Scenario) -> dict[str, Any]:
        """Commit the image, start the release as a CI job would, show the tree until it ends, and account for it."""
        title = f"{scenario.name}: {scenario.rollout} {scenario.tag}"
        self._console.rule(Text(title, style="bold"), style="dim")
        self._console.print(Text(scenario.story, style="italic"))
        status, outcome = await self._released(scenario, self._console)
        told = await account(
            self._temporal, self._world.telemetry, scenario.rollout, status, outcome, self._world.temporal.ui_url
        )
        return {
            "scenario": scenario.name,
            "expected": scenario.expected,
            **told,
            "head": await asyncio.to_thread(self._world.git.message, self._world.git.head()),
        }

    async def _released(self, scenario: Scenario, console: Console | None) -> tuple[ReleaseStatus, str]:
        """Status and outcome of a release at its end; it is shown until then where there is a console."""
        request = await deliver(self._world, self._manifests[scenario.rollout], scenario.tag, "the demonstration")
        handle = await self._client.start(request, timeout=UPDATE_TIMEOUT * slowness())
        if console is None:
            return await self._ended(handle)
        ended: asyncio.Future[ReleaseStatus] = asyncio.get_running_loop().create_future()
        frames = follow(self._client, handle.rollout, run_id=handle.run_id, pods=has_screen(console))
        watching = asyncio.create_task(watch_release(console, until_end(frames, ended)))
        try:
            status, outcome = await self._ended(handle)
            ended.set_result(status)
            await asyncio.wait([watching], timeout=patience(LAST_FRAME_SECONDS))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return status, outcome

    async def _load(self, service: str, rate: float) -> None:
        """Send so many requests a second from now on, or what a slow machine sends, and answers, in time."""
        if service in self._loads and self._rates[service] == rate:
            return
        if (before := self._loads.get(service)) is not None:
            await before.stop()
        self._loads[service], self._rates[service] = await self._world.start_load(rate / slowness(), service), rate

    async def _ended(self, handle: ReleaseHandle) -> tuple[ReleaseStatus, str]:
        try:
            result = await self._client.wait(handle)
        except ReleaseError as error:
            if error.result is None:
                raise
            result = error.result
        return result.status, result.outcome


async def until_end(
    frames: AsyncIterator[Frame[ReleaseStatus]], ended: asyncio.Future[ReleaseStatus]
) -> AsyncIterator[Frame[ReleaseStatus]]:
    """Yield the frames of a release, and one more with the status that its result holds."""
    async for frame in frames:
        yield frame
    yield Frame(await ended)


def network_of(manifests: Manifests) -> list[dict[str, Any]]:
    """Objects around the Rollout before its first release: Services, those of its router, templates."""
    return [
        *(service.raw for service in manifests.services),
        *(virtual_service.raw for virtual_service in manifests.virtual_services),
        *(found.raw for found in manifests.routed),
        *(template.raw for template in manifests.templates),
    ]


async def deliver(world: World, manifests: Manifests, tag: str, by: str) -> ReleaseRequest:
    """Commit an image, apply it as Argo CD would, and return the request that a CI job sends for its release."""
    name = manifests.rollout().metadata.name
    wanted = apply_images(manifests, {name: f"{REGISTRY}/{name}:{tag}"}).rollout()
    rollout = await asyncio.to_thread(world.commit, _labelled(wanted.raw, tag), f"{name} {tag}")
    await world.apply([rollout])
    return ReleaseRequest(
        namespace=wanted.metadata.namespace,
        name=wanted.metadata.name,
        rollout=rollout,
        templates=tuple(template.raw for template in manifests.templates),
        by=by,
        source=Source(repository=world.git.url, commit=world.git.head()),
    )


def _labelled(rollout: dict[str, Any], tag: str) -> dict[str, Any]:
    """The Rollout with the version of its pods where their template names one, as a CI job writes it."""
    changed = copy.deepcopy(rollout)
    labels = changed["spec"]["template"]["metadata"]["labels"]
    if VERSION_LABEL in labels:
        labels[VERSION_LABEL] = tag
    return changed


async def run_demo(scenarios: Sequence[Scenario], *, keep: bool, report: Path, console: Console) -> bool:
    """Run the scenarios in a new world, print and write the account; returns whether each came to what it had to."""
    began = time.monotonic()
    async with started_world(console) as world:
        started = time.monotonic() - began
        temporal = await Client.connect(world.temporal.address, data_converter=data_converter())
        demo = Demo(world, temporal, console)
        await demo.prepare()
        releases = [await demo.under_load(scenario) for scenario in scenarios]
        document = {
            "at": datetime.now(UTC).isoformat(),
            "secondsToStart": round(started, 2),
            "secondsInAll": round(time.monotonic() - began, 1),
            "residentMegabytes": world.resident_megabytes(),
            "temporalAddress": world.temporal.address,
            "temporalUi": world.temporal.ui_url,
            "kubernetes": world.kubernetes.url,
            "incidents": f"{world.servicenow.url}/",
            "messages": world.slack.page_url(SLACK_CHANNEL),
            "told": [message.text for message in world.slack.channels[SLACK_CHANNEL].messages],
            "releases": releases,
        }
        _write(report, document)
        print_account(console, document, report)
        if keep:
            await world.start_watcher(WORKER_SECONDS)  # from here on a person writes to the cluster
            _print_doors(console, world)
            await asyncio.Event().wait()
    return all(release["outcome"] == release["expected"] for release in releases)


def _write(report: Path, document: dict[str, Any]) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(document, indent=2) + "\n")


def print_account(console: Console, document: dict[str, Any], report: Path) -> None:
    """The short account: a row for each release, then where to look."""
    columns = ("release", "outcome", "weights: set (counted)", "readings", "requests (failed)", "verdict to 0 %")
    if console.width >= WIDTH_OF_TABLE:
        table = Table(*columns, title=f"{len(document['releases'])} releases", show_lines=True)
        for release in document["releases"]:
            table.add_row(*_row(release))
        console.print(table)
    else:
        for release in document["releases"]:
            for column, text in zip(columns, _row(release), strict=True):
                first, *more = text.splitlines() or [""]
                console.print(f"{column + ':':<24}{first}")
                for line in more:
                    console.print(f"{'':<24}{line}")
            console.print()
    for release in document["releases"]:
        console.print(f"{release['scenario']}: {release['reason'] or release['outcome']}")
        console.print(f"  {release['url']}", soft_wrap=True)
        if release["incident"]:
            console.print(f"  incident {release['incident']['number']}: {release['incident']['url']}", soft_wrap=True)
        for row in release["compensations"]:
            if row["name"] == Compensation.REVERT:
                console.print(f"  {row['name']}: {row['detail']}", soft_wrap=True)
    memory = sum(document["residentMegabytes"].values())
    console.print(f"{document['secondsInAll']} s in all, {memory:.0f} MB of memory; the whole account: {report}")
    for name, door in (("Temporal UI", "temporalUi"), ("incidents", "incidents"), ("messages", "messages")):
        console.print(f"{name + ':':<13}{document[door]}", soft_wrap=True)


def _row(release: dict[str, Any]) -> tuple[str, ...]:
    weights = "\n".join(f"{w['set']} % ({'-' if w['counted'] is None else w['counted']} %)" for w in release["weights"])
    readings = "\n".join(
        f"{metric['name']}: {metric['successful']} good, {metric['failed']} bad ({analysis['kind']})"
        for analysis in release["analyses"]
        for metric in analysis["status"]["metrics"]
    )
    versions = "\n".join(
        f"{image.rpartition(':')[2]}: {row['requests']} ({row['failures']})"
        for image, row in release["requests"].items()
    )
    to_zero = release["secondsFromVerdictToZero"]
    return (
        release["scenario"],
        release["outcome"],
        weights,
        readings,
        versions,
        "-" if to_zero is None else f"{to_zero:.2f} s",
    )


def _print_doors(console: Console, world: World) -> None:
    console.print("the world stays up until Ctrl-C. From another terminal:")
    console.print(f"  git --git-dir {world.git.bare} log --stat main", soft_wrap=True)
    console.print(f"  export TEMPORAL_ADDRESS={world.temporal.address}", highlight=False)
    console.print("  .venv/bin/tidegate get rollout checkout -n payments --watch", highlight=False)
    console.print(
        f"  kubectl --server {world.kubernetes.url} -n payments get rollouts,replicasets,pods", soft_wrap=True
    )
    console.print(f"  curl -H 'Host: checkout' {world.envoy.url}/")
