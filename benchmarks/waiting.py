"""Many releases at once that wait for a person: how soon one is accepted and aborted, and what waiting costs.

`python -m benchmarks.waiting [-n 1000] [--measured 200] [--at-a-time 8] [--aborts 20] [--all-at-once 200]`. Real
Temporal, the embedded API server in a process of its own, one worker that does everything as a process of its own. The
end of an abort is when the API server stored a weight of 0.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from temporalio.client import Client

from benchmarks.abort import manifests, template_of
from benchmarks.cluster_process import ClusterProcess, Told, open_cluster
from benchmarks.machine import Machine
from benchmarks.workflow_cache import resident
from sandbox.apply import apply
from sandbox.processes import until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import TidegateProcess
from tidegate.client import ReleaseHandle, TidegateClient, TidegateError, data_converter
from tidegate.contract import Document, ReleaseRequest

LONGEST_SECONDS: Final = 600.0
NAMESPACES: Final = 10  # teams, over which the releases are spread
SAMPLE: Final = 20  # releases whose histories are looked at
SETTLE_SECONDS: Final = 10.0  # after the last release has come to its pause


class Cost(NamedTuple):
    """What was used by a moment: seconds of processors, requests of the API server."""

    at: float
    worker: float
    temporal: float
    told: Told


class Plane:
    """Temporal, one cluster, one worker."""

    def __init__(self, cluster: ClusterProcess, url: str, temporal: Client, server: TemporalServer) -> None:
        self.cluster = cluster
        self.temporal = temporal
        self.client = TidegateClient(temporal)
        self.worker: TidegateProcess
        self.accepted: list[float] = []
        self.refused: list[str] = []
        self._url = url
        self._server = server

    async def stand(self, number: int, measured_at: str) -> ReleaseHandle:
        """A second version of a Rollout, until it waits for a person; with an address it is measured there."""
        for tag in ("1.0.0", "1.1.0"):
            documents = _documents(number, tag, measured_at)
            await apply(self._url, copy.deepcopy(documents if tag == "1.0.0" else documents[-1:]))
            handle = await self._start(documents[-1], measured_at)
            if tag == "1.0.0":
                await self.client.wait(handle)

        async def holds() -> bool:
            await asyncio.sleep(1)  # each look is a query, which is work of the worker
            try:
                return (await self.client.status(handle.rollout)).held
            except TidegateError:
                return False

        await until(holds, LONGEST_SECONDS, f"{handle.rollout.name} waits for a person")
        return handle

    async def _start(self, rollout: Document, measured_at: str) -> ReleaseHandle:
        metadata = rollout["metadata"]
        templates = (_template(measured_at, metadata["namespace"]),) if measured_at else ()
        request = ReleaseRequest(
            namespace=metadata["namespace"], name=metadata["name"], rollout=rollout, templates=templates
        )
        while True:
            began = time.monotonic()
            try:
                handle = await self.client.start(request)
            except TidegateError as error:
                self.refused.append(error.message)
                continue
            self.accepted.append(time.monotonic() - began)
            return handle

    async def abort(self, handles: Sequence[ReleaseHandle]) -> list[float]:
        """Signal aborts to all of them at once; the seconds until each weight was 0."""
        began: dict[str, float] = {}
        zeros: dict[str, float] = {}

        async def signal(handle: ReleaseHandle) -> None:
            began[handle.rollout.name] = time.monotonic()
            release = self.temporal.get_workflow_handle(handle.rollout.workflow_id)
            await release.signal("abort", {"reason": "a benchmark"})

        async def are_back() -> bool:
            nonlocal zeros
            zeros = (await self.cluster.told()).zeros
            return began.keys() <= zeros.keys()

        await asyncio.gather(*map(signal, handles))
        await until(are_back, LONGEST_SECONDS, f"{len(handles)} are back on stable")
        return [zeros[name] - at for name, at in began.items()]

    async def cost(self) -> Cost:
        """What was used so far."""
        told = await self.cluster.told()
        return Cost(time.monotonic(), _processor(self.worker.program.pid), _processor(self._server.program.pid), told)

    async def events(self, handles: Sequence[ReleaseHandle]) -> list[int]:
        """The length of each history."""
        found = [self.temporal.get_workflow_handle(handle.rollout.workflow_id) for handle in handles]
        return [(await each.describe()).history_length for each in found]


@asynccontextmanager
async def open_plane() -> AsyncIterator[Plane]:
    """Everything that runs, for as long as the context lasts."""
    async with AsyncExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-")))
        cluster = await stack.enter_async_context(open_cluster())
        server = TemporalServer(state)
        stack.push_async_callback(server.stop)
        await server.start()
        temporal = await Client.connect(server.address, data_converter=data_converter())
        url = (await cluster.told()).url
        plane = Plane(cluster, url, temporal, server)
        settings = {
            "TEMPORAL_ADDRESS": server.address,
            "TIDEGATE_GRACEFUL_SHUTDOWN": "1",
            "TIDEGATE_KUBERNETES__API_URL": url,
            "TIDEGATE_METRICS__HOSTS": "localhost,127.0.0.0/8",
        }
        plane.worker = TidegateProcess("worker", state, settings)
        stack.push_async_callback(plane.worker.stop)
        await plane.worker.start()
        yield plane


def _documents(number: int, tag: str, measured_at: str) -> list[Document]:
    namespace = f"team-{number % NAMESPACES}"
    documents = manifests(f"shop-{number}", tag, measured_at)
    return [{**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in documents]


def _template(measured_at: str, namespace: str) -> Document:
    found = template_of(measured_at)
    metrics = [{**each, "interval": "30s"} for each in found["spec"]["metrics"]]
    return {**found, "metadata": {**found["metadata"], "namespace": namespace}, "spec": {"metrics": metrics}}


def _processor(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(what: str, seconds: Sequence[float]) -> str:
    """One line of the table."""
    ordered = sorted(seconds)
    shares = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)]
    return f"| {what} | {len(ordered)} | {shares[0]:.2f} | {shares[1]:.2f} | {ordered[-1]:.2f} | {_load()} |"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


async def _stand_all(plane: Plane, asked: argparse.Namespace) -> list[ReleaseHandle]:
    measured_at = (await plane.cluster.told()).measured_at
    places = asyncio.Semaphore(asked.at_a_time)
    began = time.monotonic()

    async def one(number: int) -> ReleaseHandle:
        async with places:
            return await plane.stand(number, measured_at if number < asked.measured else "")

    handles = await asyncio.gather(*map(one, range(asked.releases)))
    rate = len(plane.accepted) / (time.monotonic() - began)
    print(row(f"start, {asked.at_a_time} at a time, {rate:.1f} a second", plane.accepted), flush=True)
    if plane.refused:
        print(f"not accepted: {len(plane.refused)}, the first: {plane.refused[0]}")
    return handles


async def _wait(plane: Plane, handles: Sequence[ReleaseHandle], asked: argparse.Namespace) -> None:
    """Let all of them wait, and print what that cost."""
    await asyncio.sleep(SETTLE_SECONDS)
    sample = handles[asked.measured :][:SAMPLE] or handles[:SAMPLE]
    events, before = await plane.events(sample), await plane.cost()
    await asyncio.sleep(asked.idle)
    after = await plane.cost()
    grown = sum(await plane.events(sample)) - sum(events)
    seconds = after.at - before.at
    requests = sum(after.told.requests.values()) - sum(before.told.requests.values())
    print(
        f"waiting for {seconds:.0f} s (load {_load()}): {requests / seconds:.2f} API requests a second, "
        f"{(after.told.measurements - before.told.measurements) / seconds:.1f} measurements a second, "
        f"{grown} history events of {len(sample)} releases, "
        f"worker {(after.worker - before.worker) / seconds:.0%} and Temporal "
        f"{(after.temporal - before.temporal) / seconds:.0%} of a processor, "
        f"worker {resident(plane.worker) / 2**20:.0f} MiB",
        flush=True,
    )


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--releases", type=int, default=50)
    parser.add_argument("--measured", type=int, default=0, help="how many of them measure every 30 s")
    parser.add_argument("--at-a-time", type=int, default=8, help="how many are brought to their pause at a time")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds for which all of them wait")
    parser.add_argument("--aborts", type=int, default=20, help="aborts one after the other")
    parser.add_argument("--all-at-once", type=int, default=200, help="aborts at once, of those that are left")
    asked = parser.parse_args()
    print(f"before: {Machine.now()}")
    print("| what | number | p50 s | p99 s | worst s | load |", "|---|---|---|---|---|---|", sep="\n")
    async with open_plane() as plane:
        handles = await _stand_all(plane, asked)
        await _wait(plane, handles, asked)
        one_by_one, at_once = handles[: asked.aborts], handles[asked.aborts :][: asked.all_at_once]
        seconds = [taken for handle in one_by_one for taken in await plane.abort([handle])]
        print(row("one abort", seconds), flush=True)
        if at_once:
            print(row("aborts at once", await plane.abort(at_once)), flush=True)
        print(f"worker at the end: {resident(plane.worker) / 2**20:.0f} MiB")
    print(f"after:  {Machine.now()}")


if __name__ == "__main__":
    asyncio.run(_main())
