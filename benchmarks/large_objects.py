"""What large objects within the limits cost a small release: it alone, and beside them, in turns.

`python -m benchmarks.large_objects [-l 50] [--times 3] [-o json]`. Everything is a process of its own, as it is
deployed: the Temporal server, the embedded Kubernetes API with its controllers and simulated pods, a worker that
decides, a worker of the cluster, a watcher. The small release is on its way, from the second version's image to its
second pause: a weight, a promote and another weight. The large objects (300 steps, 90 containers with 30 variables
each: just below the 256 KiB that are taken) are another namespace's, are created just before it, and are released too.
The seconds of processor that each process took meanwhile say what the machine was busy with.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
from pydantic import BaseModel, ConfigDict
from temporalio.client import Client

from activities.kubernetes.client import ROLLOUTS, Object
from benchmarks.abort import NAMESPACE, manifests
from benchmarks.machine import Machine
from sandbox.apply import apply
from sandbox.processes import Program, free_port
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import WATCHER, WORKER, TidegateProcess
from tests.unit.manifests.test_limits import steps
from tidegate.client import RolloutRef, TidegateClient, data_converter
from tidegate.manifests.limits import MAX_STEPS

CONTAINERS, VARIABLES = 90, 30
MOST_DELAY: Final = 2.0  # times the release alone
LONGEST_SECONDS: Final = 120.0
SMALL: Final = "small"
OTHERS: Final = "another-team"


class Taken(NamedTuple):
    """Seconds that one release took, and the processor's that each process took meanwhile."""

    seconds: float
    processor: dict[str, float]


class Figures(BaseModel):
    """Of a release alone and of one beside large objects: medians of the seconds, and the processor's by process."""

    model_config = ConfigDict(frozen=True)

    alone: float
    beside: float
    processor_alone: dict[str, float]
    processor_beside: dict[str, float]
    object_bytes: int
    machine: Machine

    @property
    def delay(self) -> float:
        """How many times longer a release takes beside large objects."""
        return self.beside / self.alone


class Plane:
    """A cluster and all of Tidegate, each a process."""

    def __init__(self, api_url: str, client: TidegateClient, processes: dict[str, Program]) -> None:
        self.api_url = api_url
        self.client = client
        self._processes = processes

    def processor(self) -> dict[str, float]:
        """Seconds of processor that each process has taken so far."""
        tick = os.sysconf("SC_CLK_TCK")
        fields = {name: _stat(program.pid) for name, program in self._processes.items()}
        return {name: (int(found[11]) + int(found[12])) / tick for name, found in fields.items()}

    async def release(self, tag: str) -> Taken:
        """Bring a new image of the small Rollout to its second pause."""
        rollout = RolloutRef(NAMESPACE, SMALL, "default")
        before, begin = self.processor(), time.monotonic()
        await apply(self.api_url, manifests(SMALL, tag)[-1:])
        await self.paused_at(1, tag)
        await self.client.promote(rollout, by="a benchmark")
        await self.paused_at(3, tag)
        seconds, after = time.monotonic() - begin, self.processor()
        return Taken(seconds, {name: after[name] - before[name] for name in after})

    async def first(self, tag: str) -> None:
        """Bring the first version of the small Rollout out."""
        await apply(self.api_url, manifests(SMALL, tag))
        await self.healthy(tag)

    async def paused_at(self, step: int, tag: str) -> None:
        """Wait until the object says that its release waits at a step."""

        def stands(status: Object) -> bool:
            return bool(status.get("pauseConditions")) and status.get("currentStepIndex") == step

        await self._stands(stands, f"{tag} waits at step {step}")

    async def healthy(self, tag: str) -> None:
        """Wait until a version is stable."""

        def stands(status: Object) -> bool:
            return status.get("phase") == "Healthy" and status["stableRS"] == status["currentPodHash"]

        await self._stands(stands, f"{tag} is stable")

    async def _stands(self, condition: Callable[[Object], bool], what: str) -> None:
        """Follow the object by a watch, which costs nothing while nothing changes."""
        url = f"{self.api_url}{ROLLOUTS.path(NAMESPACE)}"
        query = {"watch": "1", "fieldSelector": f"metadata.name={SMALL}"}
        try:
            async with (
                asyncio.timeout(LONGEST_SECONDS),
                aiohttp.ClientSession(read_bufsize=2**22) as session,
                session.get(url, params=query, timeout=aiohttp.ClientTimeout()) as events,
            ):
                async for line in events.content:
                    if condition(json.loads(line)["object"].get("status") or {}):
                        return
        except TimeoutError:
            raise TimeoutError(f"{what}: not so after {LONGEST_SECONDS:g} s") from None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@asynccontextmanager
async def open_plane() -> AsyncIterator[Plane]:
    """Everything that runs, for as long as the context lasts."""
    async with AsyncExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-")))
        server, port = TemporalServer(state), free_port()
        stack.push_async_callback(server.stop)
        await server.start()
        api_url = f"http://127.0.0.1:{port}"
        command = "from sandbox.cli import main; main()"
        api = Program("api", [sys.executable, "-c", command, "api", "--port", str(port)], log_file=state / "api.log")
        stack.push_async_callback(api.stop)

        async def answers() -> bool:
            async with aiohttp.ClientSession() as session, session.get(f"{api_url}/version") as answer:
                return answer.status == 200

        await api.start(answers)
        processes = {"api": api, "temporal": server.program}
        common = {
            "TEMPORAL_ADDRESS": server.address,
            "TIDEGATE_GRACEFUL_SHUTDOWN": "1",
            "TIDEGATE_KUBERNETES__API_URL": api_url,
        }
        for name, module, settings in (
            ("workflows", WORKER, {"TIDEGATE_ROLE": "workflows"}),
            ("cluster", WORKER, {"TIDEGATE_ROLE": "cluster"}),
            ("watcher", WATCHER, {}),
        ):
            process = TidegateProcess(name, state, {**common, **settings}, module=module)
            stack.push_async_callback(process.stop, 1.0)
            await process.start()
            processes[name] = process.program
        temporal = await Client.connect(server.address, data_converter=data_converter())
        yield Plane(api_url, TidegateClient(temporal), processes)


def large_object(number: int) -> Object:
    """A Rollout just within the limits."""
    env = [{"name": f"VARIABLE_{each}", "value": "x" * 40} for each in range(VARIABLES)]
    pod = [{"name": f"c{each}", "image": "app:1", "env": env} for each in range(CONTAINERS)]
    return {
        "apiVersion": ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "metadata": {"name": f"large-{number}", "namespace": OTHERS},
        "spec": {
            "replicas": 0,  # pods would be work of the emulated cluster, which shares this process
            "selector": {"matchLabels": {"app": f"large-{number}"}},
            "template": {"metadata": {"labels": {"app": f"large-{number}"}}, "spec": {"containers": pod}},
            "strategy": {"canary": {"steps": steps(MAX_STEPS)}},
        },
    }


async def brought_on(large: int) -> Taken:
    """A small release, `large` objects having been created just before it."""
    async with open_plane() as plane:
        await plane.first("1.0")
        await plane.release("2.0")  # imports and caches
        await plane.client.promote(RolloutRef(NAMESPACE, SMALL, "default"), full=True, by="a benchmark")
        await plane.healthy("2.0")
        await apply(plane.api_url, [large_object(number) for number in range(large)])
        return await plane.release("3.0")


async def measure(large: int, times: int) -> Figures:
    """The figures; alone and beside others take turns, so that the machine's other work is shared."""
    pairs = [(await brought_on(0), await brought_on(large)) for _ in range(times)]
    alone, beside = zip(*pairs, strict=True)
    return Figures(
        alone=statistics.median(each.seconds for each in alone),
        beside=statistics.median(each.seconds for each in beside),
        processor_alone=_medians(alone),
        processor_beside=_medians(beside),
        object_bytes=len(json.dumps(large_object(0), separators=(",", ":"))),
        machine=Machine.now(),
    )


def _medians(taken: tuple[Taken, ...]) -> dict[str, float]:
    return {name: statistics.median(each.processor[name] for each in taken) for name in taken[0].processor}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-l", type=int, default=50, help="large objects beside a release")
    parser.add_argument("--times", type=int, default=3, help="pairs of measurements, of which the median counts")
    parser.add_argument("-o", choices=["text", "json"], default="text")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.l, options.times))
    if options.o == "json":
        print(figures.model_dump_json(indent=2))
        return
    print(f"a release alone           {figures.alone:6.2f} s")
    size = f"of {figures.object_bytes / 1024:.0f} KiB"
    delay = f"{figures.delay:.2f} x (goal {MOST_DELAY:g}), {size}"
    print(f"beside {options.l:3} large objects  {figures.beside:6.2f} s   {delay}")
    print("seconds of processor      " + "".join(f"{name:>11}" for name in figures.processor_alone))
    for way, taken in (("alone", figures.processor_alone), ("beside large objects", figures.processor_beside)):
        print(f"  {way:24}" + "".join(f"{seconds:11.2f}" for seconds in taken.values()))
    print(figures.machine)


if __name__ == "__main__":
    main()
