from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sandbox.checkout import UnknownImageError
from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi
from sandbox.task import Task, task_of
from tests.sandbox.kubernetes.kube import CORE, Kube, serving

JOBS, PODS = "/apis/batch/v1/namespaces/default/jobs", f"{CORE}/pods"
FOR_EVER = "sleep 3600"


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    """A server whose Jobs have pods that end by themselves."""
    async with running() as client:
        yield client


@asynccontextmanager
async def running() -> AsyncIterator[Kube]:
    api = KubernetesApi()
    async with serving(api) as client, Controllers(api.cluster, simulator=PodSimulator(api.cluster)):
        yield client


def job(name: str, script: str = "true", *, restart: str = "Never", image: str = "busybox:1", **spec: Any) -> Any:
    container = {"name": "main", "image": image, "command": ["sh", "-c", script]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"restartPolicy": restart, "containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


def ended(kind: str, reason: str) -> Callable[[Any], bool]:
    def holds(found: Any) -> bool:
        conditions = found.get("status", {}).get("conditions", [])
        return any((c["type"], c["status"], c["reason"]) == (kind, "True", reason) for c in conditions)

    return holds


async def phases(kube: Kube) -> list[str]:
    return sorted(pod["status"]["phase"] for pod in (await kube.get(PODS))["items"])


async def test_a_job_completes_when_its_pods_have_succeeded(kube: Kube) -> None:
    await kube.create(JOBS, job("three", completions=3, parallelism=2))
    found = await kube.eventually(f"{JOBS}/three", ended("Complete", "CompletionsReached"))
    assert found["status"]["succeeded"] == 3
    assert "active" not in found["status"]
    assert found["status"]["completionTime"] >= found["status"]["startTime"]
    assert await phases(kube) == ["Succeeded"] * 3


async def test_the_pods_of_a_job_carry_its_name_and_its_uid(kube: Kube) -> None:
    made = await kube.create(JOBS, job("named"))
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    await kube.eventually(f"{JOBS}/named", ended("Complete", "CompletionsReached"))
    [pod] = (await kube.get(f"{PODS}?labelSelector=job-name=named"))["items"]
    assert pod["metadata"]["labels"]["app"] == "named"
    assert pod["metadata"]["name"].startswith("named-")
    assert [owner["uid"] for owner in pod["metadata"]["ownerReferences"]] == [uid]


async def test_a_job_fails_beyond_its_backoff_limit(kube: Kube) -> None:
    await kube.create(JOBS, job("bad", "exit 3", backoffLimit=2))
    found = await kube.eventually(f"{JOBS}/bad", ended("Failed", "BackoffLimitExceeded"))
    assert found["status"]["conditions"][0]["message"] == "Job has reached the specified backoff limit"
    assert found["status"]["failed"] == 3
    [code, *_] = {
        status["state"]["terminated"]["exitCode"]
        for pod in (await kube.get(PODS))["items"]
        for status in pod["status"]["containerStatuses"]
    }
    assert code == 3


async def test_containers_that_are_restarted_count_against_the_backoff_limit(kube: Kube) -> None:
    await kube.create(JOBS, job("again", "exit 1", restart="OnFailure", backoffLimit=1))
    await kube.eventually(f"{JOBS}/again", ended("Failed", "BackoffLimitExceeded"))
    assert await kube.names(PODS) == [], "a pod that still runs goes with the end of its Job"


async def test_a_job_that_is_late_fails_and_its_pods_go(kube: Kube) -> None:
    await kube.create(JOBS, job("late", FOR_EVER, activeDeadlineSeconds=1))
    found = await kube.eventually(f"{JOBS}/late", ended("Failed", "DeadlineExceeded"))
    assert "active" not in found["status"]
    assert await kube.names(PODS) == []


async def test_a_pod_that_somebody_deletes_is_replaced(kube: Kube) -> None:
    await kube.create(JOBS, job("long", FOR_EVER))
    await kube.eventually(f"{JOBS}/long", lambda found: found.get("status", {}).get("ready") == 1)
    [first] = await kube.names(PODS)
    await kube.delete(f"{PODS}/{first}")
    pods = await kube.eventually(
        PODS, lambda found: [p["metadata"]["name"] for p in found["items"]] not in ([], [first])
    )
    assert len(pods["items"]) == 1
    found = await kube.eventually(f"{JOBS}/long", lambda found: found["status"].get("ready") == 1)
    assert "failed" not in found["status"]


@pytest.mark.parametrize("propagation", ["Foreground", "Background"])
async def test_a_job_that_is_deleted_takes_its_pods_along(kube: Kube, propagation: str) -> None:
    await kube.create(JOBS, job("long", FOR_EVER))
    await kube.eventually(PODS, lambda found: len(found["items"]) == 1)
    await kube.delete(f"{JOBS}/long", {"propagationPolicy": propagation})
    await kube.eventually(PODS, lambda found: found["items"] == [])
    await kube.eventually(JOBS, lambda found: found["items"] == [])


async def test_a_job_that_is_suspended_has_no_pods(kube: Kube) -> None:
    await kube.create(JOBS, job("held", FOR_EVER, suspend=True))
    found = await kube.eventually(f"{JOBS}/held", lambda found: "startTime" in found.get("status", {}))
    assert "active" not in found["status"]
    await kube.patch(f"{JOBS}/held", {"spec": {"suspend": False}})
    await kube.eventually(f"{JOBS}/held", lambda found: found["status"].get("active") == 1)


async def test_one_success_ends_a_queue_of_work(kube: Kube) -> None:
    made = await kube.create(JOBS, job("queue", parallelism=2))
    assert "completions" not in made["spec"]
    found = await kube.eventually(f"{JOBS}/queue", ended("Complete", "CompletionsReached"))
    assert found["status"]["succeeded"] == 2


async def test_a_finished_job_goes_in_time(kube: Kube) -> None:
    await kube.create(JOBS, job("short-lived", ttlSecondsAfterFinished=0))
    await kube.eventually(JOBS, lambda found: found["items"] == [])
    await kube.eventually(PODS, lambda found: found["items"] == [])


async def test_an_image_that_is_not_there_keeps_its_job_waiting(kube: Kube) -> None:
    await kube.create(JOBS, job("lost", image="registry/nothing:1"))
    found = await kube.eventually(f"{JOBS}/lost", lambda found: found.get("status", {}).get("active") == 1)
    assert "ready" not in found["status"]
    pods = await kube.eventually(PODS, lambda found: "containerStatuses" in found["items"][0]["status"])
    assert pods["items"][0]["status"]["phase"] == "Pending"
    [container] = pods["items"][0]["status"]["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "ErrImagePull"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"backoffLimit": -1}, "spec.backoffLimit"),
        ({"restart": "Always"}, "spec.template.spec.restartPolicy"),
        ({"name": "n" * 64}, "spec.template.labels"),
    ],
)
async def test_what_kubernetes_refuses_is_refused(kube: Kube, change: Any, field: str) -> None:
    code, answer = await kube.call("POST", JOBS, job(**{"name": "odd", **change}))
    assert code == 422
    assert field in [cause["field"] for cause in answer["details"]["causes"]]


async def test_what_a_job_does_cannot_be_changed(kube: Kube) -> None:
    await kube.create(JOBS, job("fixed", FOR_EVER))
    code, answer = await kube.call(
        "PATCH", f"{JOBS}/fixed", {"spec": {"completions": 4}}, "application/merge-patch+json"
    )
    assert (code, answer["details"]["causes"][0]["field"]) == (422, "spec.completions")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ([], Task(0, 0)),
        (["true"], Task(0, 0)),
        (["/bin/false"], Task(0, 1)),
        (["sleep", "2.5"], Task(2.5, 0)),
        (["sh", "-c", "sleep 1; sleep 2"], Task(3, 0)),
        (["/bin/sh", "-c", "echo hello && exit 3\nsleep 9"], Task(0, 3)),
        (["sh", "-c", "sleep 1 && false && sleep 5"], Task(1, 1)),
        (["sh", "-c", "false; true"], Task(0, 0)),
        (["sh", "-c", "exit 256"], Task(0, 0)),
        (["sh", "-c", "echo 'open"], Task(0, 2)),
        (["rm", "-rf", "/"], Task(0, 127)),
        (["sleep", "long"], Task(0, 127)),
    ],
)
def test_a_command_is_read_and_never_run(command: list[str], expected: Task) -> None:
    assert task_of([("docker.io/library/busybox:1.36", command)]) == expected


def test_a_pod_ends_with_its_last_container_and_fails_with_its_first_failure() -> None:
    commands = [["sleep", "3"], ["false"], ["sh", "-c", "exit 7"]]
    assert task_of([("alpine", command) for command in commands]) == Task(3, 1)
    with pytest.raises(UnknownImageError):
        task_of([("nginx:1", [])])
