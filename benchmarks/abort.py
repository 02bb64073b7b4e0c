"""How long an abort takes until no traffic goes to the canary any more: in peace, and with workers that are lost.

`python -m benchmarks.abort [-n 10] [--only idle,killed,frozen] [--busy 50] [--blue-green]`. Real Temporal, the embedded
API server, two workers as processes of their own. `killed` and `frozen` take away the worker that is in the middle of a
pass, in the moment before the abort (SIGKILL, SIGSTOP); the other one lives. `busy` aborts one release while so many
others measure every 5 seconds. The end is when the API server stored a weight of 0; with blue-green, whose new version
has all of the traffic by then, when it stored the stable version's hash in the active Service.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import os
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from temporalio.client import Client

from activities.kubernetes.replica_sets import HASH_LABEL
from benchmarks.machine import Machine
from sandbox.apply import apply
from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import Call, Change, KubernetesApi
from sandbox.kubernetes_api.kinds import SERVICES, VIRTUAL_SERVICES
from sandbox.processes import until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import TidegateProcess
from tidegate.client import ReleaseError, ReleaseHandle, TidegateClient, data_converter
from tidegate.contract import Activity, Document, ReleaseRequest

NAMESPACE: Final = "payments"
LONGEST_SECONDS: Final = 120.0
WAYS: Final = ("idle", "killed", "frozen")
# How far apart the aborts of a busy plane are, so that each meets another moment of the measurements.
APART_SECONDS: Final = 0.7


def manifests(name: str, tag: str, measured_at: str = "") -> list[Document]:
    """A Rollout with Istio and what belongs to it; with `measured_at` it is measured there in the background."""
    labels = {"app": name}
    canary: Document = {
        "stableService": f"{name}-stable",
        "canaryService": f"{name}-canary",
        "abortScaleDownDelaySeconds": 1,
        "scaleDownDelaySeconds": 1,
        "trafficRouting": {"istio": {"virtualService": {"name": name}}},
        "steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}],
    }
    if measured_at:
        canary["analysis"] = {"templates": [{"templateName": "measured"}]}
    container = {"name": "main", "image": f"registry.internal/{name}:{tag}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    hosts = ((f"{name}-stable", 100), (f"{name}-canary", 0))
    route = [{"destination": {"host": host}, "weight": weight} for host, weight in hosts]
    return [
        *(_service(host, labels) for host, _ in hosts),
        _object("networking.istio.io/v1beta1", "VirtualService", name, {"hosts": [name], "http": [{"route": route}]}),
        _rollout(name, labels, template, {"canary": canary}),
    ]


def blue_green(name: str, tag: str) -> list[Document]:
    """A blue-green Rollout and its Services; after the switch it is measured."""
    labels, preview = {"app": name}, f"{name}-preview"
    strategy: Document = {
        "activeService": name,
        "previewService": preview,
        "abortScaleDownDelaySeconds": 1,
        "scaleDownDelaySeconds": 1,
        "postPromotionAnalysis": {"templates": [{"templateName": "measured"}]},
    }
    container = {"name": "main", "image": f"registry.internal/{name}:{tag}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    services = (_service(each, labels) for each in (name, preview))
    return [*services, _rollout(name, labels, template, {"blueGreen": strategy})]


def _service(name: str, labels: dict[str, str]) -> Document:
    return _object("v1", "Service", name, {"selector": labels, "ports": [{"port": 80}]})


def _rollout(name: str, labels: dict[str, str], template: Document, strategy: Document) -> Document:
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template, "strategy": strategy}
    return _object("argoproj.io/v1alpha1", "Rollout", name, spec)


def _object(version: str, kind: str, name: str, spec: Document) -> Document:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def template_of(measured_at: str, **fields: Any) -> Document:
    """Two metrics, each every 5 seconds for as long as the release lasts, with these fields besides."""
    provider = {"web": {"url": measured_at, "jsonPath": "{$.ok}"}}
    metrics = [
        {"name": name, "interval": "5s", "successCondition": "result == true", "provider": provider, **fields}
        for name in ("errors", "latency")
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "measured", "namespace": NAMESPACE},
        "spec": {"metrics": metrics},
    }


class Zeros:
    """When the API server stored the way back of each release, by the name of its VirtualService or active Service."""

    def __init__(self, api: KubernetesApi) -> None:
        self.at: dict[str, float] = {}
        self._before: dict[str, str] = {}  # by Service, the hash that it selected before the one that it selects
        api.store.subscribe(self._note)

    def _note(self, change: Change) -> None:
        name = change.object["metadata"]["name"]
        if change.kind is VIRTUAL_SERVICES:
            self._set(name, is_back=not change.object["spec"]["http"][0]["route"][1].get("weight", 0))
        elif change.kind is SERVICES:
            before, now = (_selected(each) for each in (change.previous, change.object))
            if before and now != before:
                self._set(name, is_back=now == self._before.get(name))
                self._before[name] = before

    def _set(self, name: str, *, is_back: bool) -> None:
        if is_back:
            self.at.setdefault(name, time.monotonic())
        else:
            self.at.pop(name, None)


def _selected(service: Document | None) -> str:
    return str(((service or {}).get("spec", {}).get("selector") or {}).get(HASH_LABEL, ""))


class Gate:
    """Lets the next scaling of a ReplicaSet wait until its worker is gone."""

    def __init__(self) -> None:
        self._armed = False
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    def arm(self) -> None:
        """Hold the next one."""
        self.begun.clear()
        self.go_on.clear()
        self._armed = True

    async def __call__(self, call: Call) -> None:
        """Asked by the API server before each request."""
        if self._armed and (call.verb, call.resource) == ("patch", "replicasets"):
            self._armed = False
            self.begun.set()
            await self.go_on.wait()


class Plane:
    """Temporal, one cluster, two workers."""

    def __init__(self, api: KubernetesApi, gate: Gate, temporal: Client) -> None:
        self.api = api
        self.gate = gate
        self.client = TidegateClient(temporal)
        self.temporal = temporal
        self.zeros = Zeros(api)
        self.workers: list[TidegateProcess] = []
        self.measured_at = ""
        self._versions: dict[str, int] = {}

    async def stand(self, name: str, *, measured: bool = False) -> ReleaseHandle:
        """Bring a new version of a Rollout to 20 %, where it waits for a person."""
        templates = (template_of(self.measured_at),) if measured else ()
        address = self.measured_at if measured else ""
        handle = await self._second(name, lambda tag: manifests(name, tag, address), templates)

        async def holds() -> bool:
            status = await self.client.status(handle.rollout)
            return status.held and status.actual_weight == 20

        await until(holds, LONGEST_SECONDS, f"{name} waits at 20 %")
        return handle

    async def switched(self, name: str) -> ReleaseHandle:
        """Give a new version of a blue-green Rollout all of the traffic; its last gate stays open."""
        templates = (template_of(self.measured_at, count=1000),)
        handle = await self._second(name, lambda tag: blue_green(name, tag), templates)

        async def judged() -> bool:
            status = await self.client.status(handle.rollout)
            return bool(status.analyses) and status.actual_weight == 100

        await until(judged, LONGEST_SECONDS, f"{name} is judged after its switch")
        return handle

    async def _second(
        self, name: str, of: Callable[[str], list[Document]], templates: tuple[Document, ...]
    ) -> ReleaseHandle:
        """Start the next version of a Rollout, after a first one."""
        while True:
            number = self._versions[name] = self._versions.get(name, 0) + 1
            documents = of(f"{number}.0")
            if number > 1:  # the routes stay as the releases wrote them
                documents = documents[-1:]
            await apply(self.api.url, copy.deepcopy(documents))
            request = ReleaseRequest(namespace=NAMESPACE, name=name, rollout=documents[-1], templates=templates)
            handle = await self.client.start(request)
            if number > 1:
                return handle
            await self.client.wait(handle)

    async def scale(self, name: str, replicas: int) -> None:
        """Ask for so many pods of a blue-green Rollout."""
        rollout = blue_green(name, f"{self._versions[name]}.0")[-1]
        rollout["spec"]["replicas"] = replicas
        await apply(self.api.url, [rollout])

    async def abort(self, handle: ReleaseHandle) -> float:
        """Signal an abort; returns the seconds until the weight was 0."""
        name = handle.rollout.name
        release = self.temporal.get_workflow_handle(handle.rollout.workflow_id)
        began = time.monotonic()
        await release.signal("abort", {"reason": "a benchmark"})

        async def is_zero() -> bool:
            return name in self.zeros.at

        await until(is_zero, LONGEST_SECONDS, f"{name} is back on stable")
        return self.zeros.at[name] - began

    async def ended(self, handle: ReleaseHandle) -> None:
        """Wait for the end of an aborted release."""
        try:
            await self.client.wait(handle)
        except ReleaseError:
            return

    async def worker_of_pass(self, handle: ReleaseHandle) -> TidegateProcess:
        """The worker that is making the pass under way."""
        release = self.temporal.get_workflow_handle(handle.rollout.workflow_id)
        found = (await release.describe()).raw_description.pending_activities
        [identity] = [row.last_worker_identity for row in found if row.activity_type.name == Activity.RECONCILE]
        pid = int(identity.partition("@")[0])
        return next(worker for worker in self.workers if worker.program.pid == pid)


@asynccontextmanager
async def open_plane() -> AsyncIterator[Plane]:
    """Everything that runs, for as long as the context lasts."""
    async with AsyncExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-")))
        gate = Gate()
        server, api = TemporalServer(state), KubernetesApi(gate=gate)
        for part in (server, api):
            stack.push_async_callback(part.stop)
            await part.start()
        await stack.enter_async_context(Controllers(api.cluster, simulator=PodSimulator(api.cluster)))
        temporal = await Client.connect(server.address, data_converter=data_converter())
        plane = Plane(api, gate, temporal)
        plane.measured_at = await stack.enter_async_context(_measured())
        for number in (1, 2):
            settings = {
                "TEMPORAL_ADDRESS": server.address,
                "TIDEGATE_GRACEFUL_SHUTDOWN": "1",
                "TIDEGATE_KUBERNETES__API_URL": api.url,
                "TIDEGATE_METRICS__HOSTS": "localhost,127.0.0.0/8",
            }
            worker = TidegateProcess(f"worker-{number}", state, settings)
            stack.push_async_callback(worker.stop)
            await worker.start()
            plane.workers.append(worker)
        yield plane


@asynccontextmanager
async def _measured() -> AsyncIterator[str]:
    """An address that says that all is well."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"{site.name}/"
    finally:
        await runner.cleanup()


async def lost(plane: Plane, name: str, way: str, *, is_blue_green: bool = False) -> float:
    """Seconds of one abort in the middle of a pass whose worker was killed or frozen a moment before."""
    handle = await (plane.switched(name) if is_blue_green else plane.stand(name))
    plane.gate.arm()
    await (plane.scale(name, 3) if is_blue_green else plane.client.promote(handle.rollout))
    await plane.gate.begun.wait()
    worker = await plane.worker_of_pass(handle)
    with _without(worker, way):
        seconds = await plane.abort(handle)
    plane.gate.go_on.set()
    if way == "killed":
        await worker.stop()
        await worker.start()
    await plane.ended(handle)
    return seconds


@contextmanager
def _without(worker: TidegateProcess, way: str) -> Iterator[None]:
    pid = worker.program.pid
    if way == "killed":
        os.kill(pid, signal.SIGKILL)
        yield
        return
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def idle(plane: Plane, name: str, *, is_blue_green: bool = False) -> float:
    """Seconds of one abort of a release that waits."""
    handle = await (plane.switched(name) if is_blue_green else plane.stand(name))
    seconds = await plane.abort(handle)
    await plane.ended(handle)
    return seconds


async def busy(plane: Plane, others: int, tries: int) -> list[float]:
    """Seconds of aborts, one at a time, while so many releases are measured."""
    for number in range(others):  # one after the other: it is the aborts that are measured
        await plane.stand(f"busy-{number}", measured=True)
    seconds = []
    for number in range(tries):
        seconds.append(await idle(plane, "one"))
        await asyncio.sleep(APART_SECONDS * (number % 5))
    return seconds


def row(way: str, seconds: list[float]) -> str:
    """One line of the table."""
    ordered = sorted(seconds)
    figures = f"{statistics.median(ordered):.2f} | {ordered[-1]:.2f} | {os.getloadavg()[0]:.1f}"
    return f"| {way} | {len(ordered)} | {figures} |"


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--tries", type=int, default=10, help="of each way")
    parser.add_argument("--only", default=",".join(WAYS), help="ways, separated by commas")
    parser.add_argument("--busy", type=int, default=0, help="how many releases are measured meanwhile")
    parser.add_argument("--blue-green", action="store_true", help="after the switch of that strategy")
    asked = parser.parse_args()
    strategy = {"is_blue_green": asked.blue_green}
    print(f"before: {Machine.now()}", "| way | tries | median s | worst s | load |", "|---|---|---|---|---|", sep="\n")
    async with open_plane() as plane:
        for way in filter(None, asked.only.split(",")):
            taken = [
                await (idle(plane, way, **strategy) if way == "idle" else lost(plane, way, way, **strategy))
                for _ in range(asked.tries)
            ]
            print(row(way, taken), flush=True)
        if asked.busy:
            print(row(f"{asked.busy} busy", await busy(plane, asked.busy, asked.tries)), flush=True)
    print(f"after:  {Machine.now()}")


if __name__ == "__main__":
    asyncio.run(_main())
