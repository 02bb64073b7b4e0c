"""A stand-in for kubelets where none is: it binds pods to a node that is not there and says that they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import PODS, Cluster, Object, Resource
from sandbox.documents import items, mapping
from sandbox.pods import now
from tests.kubernetes.plane import POLL_SECONDS, Plane
from tidegate.contract import ErrorType

NODES = Resource("", "v1", "nodes", "Node")
STARTS_IN_SECONDS = 0.5
_AT_ONCE = ("--force", "--grace-period=0", "--wait=false", "--ignore-not-found")
NEVER_READY = "never-ready"  # in the name of an image


@asynccontextmanager
async def simulated_pods(plane: Plane, node: str, namespaces: Sequence[str]) -> AsyncIterator[None]:
    """Pods of those namespaces run on a node of that name, and those of Jobs succeed."""
    await plane.cluster.create(NODES, "", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    tasks = [asyncio.create_task(_keep(plane, node, each)) for each in namespaces]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await plane.cluster.delete(NODES, "", node)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


async def _keep(plane: Plane, node: str, namespace: str) -> None:
    """Look at all pods now and then, as each of them needs a moment in any case."""
    since: dict[str, float] = {}
    while True:
        with suppress_passing():
            pods = await plane.cluster.select(PODS, namespace, {})
            time = asyncio.get_running_loop().time()
            ending = [each["metadata"]["name"] for each in pods if each["metadata"].get("deletionTimestamp")]
            if ending:  # their containers have ended: nobody waits for their grace
                await plane.kubectl("delete", "pods", "-n", namespace, *ending, *_AT_ONCE)
            for pod in pods:
                begun = since.setdefault(str(pod["metadata"]["uid"]), time)
                if pod["metadata"]["name"] not in ending:
                    await _step(plane.cluster, node, pod, started=time - begun >= STARTS_IN_SECONDS)
        await asyncio.sleep(POLL_SECONDS)


@contextmanager
def suppress_passing() -> Iterator[None]:
    """Let pass what is otherwise a moment later."""
    try:
        yield
    except ApplicationError as error:
        if error.type not in (ErrorType.NOT_FOUND, ErrorType.CONFLICT, ErrorType.UNAVAILABLE):
            raise


async def _step(cluster: Cluster, node: str, pod: Object, *, started: bool) -> None:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    if not pod["spec"].get("nodeName"):
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body: Object = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        await cluster.create(Resource("", "v1", f"pods/{name}/binding", "Binding"), namespace, body)
    elif started and mapping(pod.get("status")).get("phase") == "Pending":
        await cluster.merge_status(PODS, namespace, name, _running(pod))


def _running(pod: Object) -> dict[str, Any]:
    job = pod["spec"].get("restartPolicy") != "Always"
    ready = not job and not any(NEVER_READY in each["image"] for each in pod["spec"]["containers"])
    time = now()
    kinds = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
    state = {"terminated": {"exitCode": 0, "finishedAt": time}} if job else {"running": {"startedAt": time}}
    return {
        "phase": "Succeeded" if job else "Running",
        "podIP": "10.1.0.1",
        "podIPs": [{"ip": "10.1.0.1"}],
        "startTime": time,
        "conditions": [
            {"type": kind, "status": str(holds), "lastTransitionTime": time} for kind, holds in kinds.items()
        ],
        "containerStatuses": [
            {
                "name": each["name"],
                "image": each["image"],
                "imageID": "simulated",
                "ready": ready,
                "started": True,
                "restartCount": 0,
                "state": state,
            }
            for each in items(pod["spec"]["containers"])
        ],
    }
