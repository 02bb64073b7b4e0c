"""Releases of N Rollouts in a namespace of their own, and what they cost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from activities.kubernetes.client import ROLLOUTS, Cluster, Object
from activities.kubernetes.json_patch import Operation, put
from benchmarks.cluster.controllers import Controller
from benchmarks.cluster.costs import AuditLog, by_verb, cpu_seconds, forget_peak, memory_mb
from benchmarks.cluster.manifests import NAMESPACES, image_of, name_of, namespace, rollout
from benchmarks.cluster.pods import simulated_pods
from sandbox.processes import until

LOOK_SECONDS: Final = 0.5
SETTLE_SECONDS: Final = 5.0  # what is written when all are Healthy is of the releases, too
AT_A_TIME: Final = 20  # requests of the benchmark itself
STANDING_SECONDS: Final = 60.0
GONE_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Asked:
    """One run: how many Rollouts, in which way, for how long at most."""

    rollouts: int
    kubeconfig: Path
    context: str
    istio: bool
    simulate_pods: bool
    audit_log: Path | None
    limit: float


class Costs(BaseModel):
    """What one controller took; seconds of processor time and MB by process.

    `requests` are by verb, `by_kind` by verb and kind of object; both empty where no audit log was given. `mb` is the
    peak since the patch, or what is resident while the Rollouts stand.
    """

    model_config = ConfigDict(frozen=True)

    controller: str
    seconds: float
    requests: dict[str, int]
    by_kind: dict[str, int]
    cpu: dict[str, float]
    mb: dict[str, float]
    cpu_beside: dict[str, float]
    mb_beside: dict[str, float]

    @property
    def all_requests(self) -> int:
        """Of all verbs, without watches."""
        return sum(self.requests.values())

    @property
    def all_cpu(self) -> float:
        """Of the controller's own processes, in seconds."""
        return sum(self.cpu.values())

    @property
    def all_mb(self) -> float:
        """Of the controller's own processes."""
        return sum(self.mb.values())


class Meter:
    """Measures a controller from its construction on."""

    def __init__(self, controller: Controller, asked: Asked) -> None:
        self._controller = controller
        self._audit = AuditLog(asked.audit_log) if asked.audit_log is not None else None
        self._pids = {**controller.pids, **controller.beside}
        self._cpu = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        for pid in self._pids.values():
            forget_peak(pid)

    def costs(self, seconds: float, memory: str) -> Costs:
        """What was spent since then; `memory` is the line of /proc/PID/status that counts."""
        found: Counter[tuple[str, str]] = (
            self._audit.requests(self._controller.agents) if self._audit is not None else Counter()
        )
        cpu = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._pids.items()}
        mb = {name: memory_mb(pid, memory) for name, pid in self._pids.items()}
        own, beside = self._controller.pids, self._controller.beside
        return Costs(
            controller=self._controller.name,
            seconds=seconds,
            requests=dict(by_verb(found).most_common()),
            by_kind={" ".join(key): number for key, number in found.most_common()},
            cpu={name: cpu[name] for name in own},
            mb={name: mb[name] for name in own},
            cpu_beside={name: cpu[name] for name in beside},
            mb_beside={name: mb[name] for name in beside},
        )


@asynccontextmanager
async def home(asked: Asked, name: str) -> AsyncIterator[Cluster]:
    """A namespace, which is deleted with all that is in it; with pods that become Ready, where that was asked for."""
    async with AsyncExitStack() as stack:
        cluster = await Cluster.connect(
            kubeconfig=str(asked.kubeconfig), context=asked.context, agent="tidegate-benchmark"
        )
        stack.push_async_callback(cluster.close)
        await cluster.create(NAMESPACES, "", namespace(name))
        stack.push_async_callback(_delete, cluster, name)
        if asked.simulate_pods:
            await stack.enter_async_context(simulated_pods(cluster, name))
        yield cluster


async def releases(asked: Asked, controller: Controller, cluster: Cluster, home: str) -> Costs:
    """Bring the first version of all out, then the second of all at once, which is what is measured."""
    await _stand(asked, cluster, home)

    def newer(found: Object) -> list[Operation]:
        return [put("/spec/template/spec/containers/0/image", image_of(2))]

    meter, began = Meter(controller, asked), time.monotonic()
    await _each(asked, lambda number: cluster.change(ROLLOUTS, home, name_of(number), None, newer))
    await _all_healthy(asked, cluster, home)
    seconds = time.monotonic() - began
    await asyncio.sleep(SETTLE_SECONDS)
    return meter.costs(seconds, "VmHWM")


async def standing(asked: Asked, controller: Controller, cluster: Cluster, home: str) -> Costs:
    """Rollouts with a pod each, of which nobody wants anything; measured for a minute."""
    await _stand(asked, cluster, home, replicas=1)
    await asyncio.sleep(SETTLE_SECONDS)
    meter = Meter(controller, asked)
    await asyncio.sleep(STANDING_SECONDS)
    return meter.costs(STANDING_SECONDS, "VmRSS")


async def _stand(asked: Asked, cluster: Cluster, home: str, **shape: int) -> None:
    async def make(number: int) -> None:
        for resource, body in rollout(name_of(number), istio=asked.istio, **shape):
            await cluster.create(resource, home, body)

    await _each(asked, make)
    await _all_healthy(asked, cluster, home)


async def _each(asked: Asked, act: Callable[[int], Coroutine[Any, Any, object]]) -> None:
    """Do something with each Rollout, some at a time."""
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> None:
        async with free:
            await act(number)

    await asyncio.gather(*map(one, range(asked.rollouts)))


async def _all_healthy(asked: Asked, cluster: Cluster, home: str) -> None:
    end = time.monotonic() + asked.limit
    while True:
        found = await cluster.select(ROLLOUTS, home, {})
        if len(found) == asked.rollouts and all(map(_is_healthy, found)):
            return
        if time.monotonic() >= end:
            waiting = [_says(each) for each in found if not _is_healthy(each)]
            raise TimeoutError(f"not Healthy after {asked.limit:g} s: {len(waiting)}, such as {waiting[:3]}")
        await asyncio.sleep(LOOK_SECONDS)


def _is_healthy(found: Object) -> bool:
    """Whether the version that its spec asks for is out, as `kubectl argo rollouts status` has it."""
    status = found.get("status") or {}
    is_seen = status.get("observedGeneration") == str(found["metadata"]["generation"])
    is_out = status.get("stableRS") == status.get("currentPodHash") is not None
    return is_seen and is_out and status.get("phase") == "Healthy"


def _says(found: Object) -> str:
    status = found.get("status") or {}
    return f"{found['metadata']['name']}: {status.get('phase')} {status.get('message')}"


async def _delete(cluster: Cluster, name: str) -> None:
    """Delete a namespace and wait until it is gone, so that the next run has the machine for itself."""
    await cluster.delete(NAMESPACES, "", name)

    async def is_gone() -> bool:
        return await cluster.find(NAMESPACES, "", name) is None

    await until(is_gone, GONE_SECONDS, f"namespace {name} is gone")


def ratios(own: Costs, other: Costs) -> Iterable[tuple[str, float]]:
    """How many times what the other one takes."""
    for what, mine, others in (
        ("requests", own.all_requests, other.all_requests),
        ("CPU", own.all_cpu, other.all_cpu),
        ("memory", own.all_mb, other.all_mb),
    ):
        if others:
            yield what, mine / others
