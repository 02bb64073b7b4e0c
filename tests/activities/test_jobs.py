"""The Job provider against the embedded Kubernetes API, whose Jobs have pods that end by themselves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from activities.kubernetes.client import JOBS, MERGE_PATCH, PODS, ROLLOUTS, Object, Resource
from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi
from sandbox.machine import patience
from tests.activities.job_api import NAME, PENDING, UID, Provider, metric, provider_at
from tidegate.analysis.assess import measured
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.reading import Reading
from tidegate.analysis.status import Measurement, Phase
from tidegate.contract import Owner, job_name
from tidegate.manifests.analysis_template import Metric

FOR_EVER = "sleep 3600"
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")


class Stage(Provider):
    """The provider, and what it left in the cluster."""

    api: KubernetesApi

    async def names(self) -> list[str]:
        return sorted(found["metadata"]["name"] for found in await self.cluster.select(JOBS, "payments", {}))

    async def job(self, name: str = NAME) -> Object:
        return await self.cluster.get(JOBS, "payments", name)

    async def until(self, condition: Any) -> None:
        """Wait for writes until `condition`, a coroutine function, holds."""
        written = asyncio.Event()
        unsubscribe = self.api.store.subscribe(lambda _: written.set())
        try:
            async with asyncio.timeout(patience(10)):
                while not await condition():
                    await written.wait()
                    written.clear()
        finally:
            unsubscribe()

    async def until_ended(self, name: str = NAME) -> None:
        async def holds() -> bool:
            return bool((await self.job(name)).get("status", {}).get("conditions"))

        await self.until(holds)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    api = KubernetesApi()
    await api.start()
    try:
        async with Controllers(api.cluster, simulator=PodSimulator(api.cluster)), provider_at(api.url) as provider:
            stage = Stage(provider.cluster)
            stage.api, stage.now = api, datetime.now(UTC).timestamp()
            home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "payments"}}
            await stage.cluster.create(NAMESPACES, "", home)
            yield stage
    finally:
        await api.stop()


def verdict(reading: Reading, **fields: Any) -> Measurement:
    return measured(MetricRules.of(Metric.model_validate({**metric(), **fields})), reading)


async def test_the_first_look_creates_the_job_as_argo_labels_it(stage: Stage) -> None:
    given = {"labels": {"team": "payments"}, "annotations": {"note": "a"}}
    [reading] = await stage.look(metric(script=FOR_EVER, metadata=given, spec={"activeDeadlineSeconds": 600}))
    assert (reading.metadata, reading.query) == (PENDING["smoke"], f"Job payments/{NAME}")
    assert verdict(reading).phase is Phase.RUNNING
    found = await stage.job()
    assert found["metadata"]["labels"] == {"team": "payments", "analysisrun.argoproj.io/uid": UID}
    assert found["metadata"]["annotations"] == {
        "note": "a",
        "analysisrun.argoproj.io/name": "checkout-1",
        "analysisrun.argoproj.io/metric-name": "smoke",
    }
    assert found["spec"]["activeDeadlineSeconds"] == 600
    assert "ownerReferences" not in found["metadata"]


@pytest.mark.parametrize(("given", "kept"), [(None, 86_400), (600, 600), (0, 120)])
async def test_a_finished_job_is_kept_for_a_day_or_as_its_manifest_says(
    stage: Stage, given: int | None, kept: int
) -> None:
    await stage.look(metric(script=FOR_EVER, spec={"ttlSecondsAfterFinished": given}))
    assert (await stage.job())["spec"]["ttlSecondsAfterFinished"] == kept


async def test_a_job_goes_with_the_rollout_that_it_is_for(stage: Stage) -> None:
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "checkout"}}
    made = await stage.cluster.create(ROLLOUTS, "payments", rollout)
    owner = Owner(api_version="argoproj.io/v1alpha1", kind="Rollout", name="checkout", uid=made["metadata"]["uid"])
    await stage.look(metric(script=FOR_EVER), owner=owner)
    assert await stage.names() == [NAME]
    await stage.cluster.delete(ROLLOUTS, "payments", "checkout")
    await stage.until(lambda: _empty(stage))


async def _empty(stage: Stage) -> bool:
    return await stage.names() == []


async def test_a_job_that_was_begun_before_is_found_again(stage: Stage) -> None:
    await stage.look(metric(script=FOR_EVER))
    uid = (await stage.job())["metadata"]["uid"]
    [reading] = await stage.look(metric(script=FOR_EVER))
    assert (reading.metadata, reading.error) == (PENDING["smoke"], "")
    assert await stage.names() == [NAME]
    assert (await stage.job())["metadata"]["uid"] == uid


async def test_a_job_that_is_somebody_elses_is_left_alone(stage: Stage) -> None:
    await stage.look(metric(script=FOR_EVER))
    taken = {**metric(script=FOR_EVER)["provider"]["job"], "metadata": {"name": job_name("other", "smoke", 1)}}
    await stage.cluster.create(JOBS, "payments", taken)
    [reading] = await stage.look(metric(script=FOR_EVER), uid="other")
    assert reading.error == f"Job payments/{taken['metadata']['name']} is not of this analysis run; it is left alone"
    await stage.end(taken["metadata"]["name"], uid="other")
    assert taken["metadata"]["name"] in await stage.names()


async def test_a_job_that_completes_is_a_success_whatever_the_conditions_say(stage: Stage) -> None:
    await stage.look(metric())
    await stage.until_ended()
    [reading] = await stage.look(metric(), pending=PENDING)
    said = verdict(reading, successCondition="false", failureCondition="true")
    assert (said.phase, said.message, said.reason) == (Phase.SUCCESSFUL, "", f"Job {NAME} completed")
    assert said.metadata["job-name"] == NAME


async def test_a_job_that_fails_is_a_failure_with_its_message(stage: Stage) -> None:
    await stage.look(metric(script="exit 3"))
    await stage.until_ended()
    [reading] = await stage.look(metric(script="exit 3"), pending=PENDING)
    said = verdict(reading, successCondition="true")
    assert (said.phase, said.message) == (Phase.FAILED, "Job has reached the specified backoff limit")
    expected = f"Job {NAME} failed: BackoffLimitExceeded: Job has reached the specified backoff limit"
    assert said.reason == expected


async def test_waits_grow_with_the_age_of_the_job_up_to_half_a_minute(stage: Stage) -> None:
    await stage.look(metric(script=FOR_EVER))
    created = datetime.fromisoformat((await stage.job())["metadata"]["creationTimestamp"]).timestamp()
    waits = []
    stage.now = created
    for _ in range(7):
        [reading] = await stage.look(metric(script=FOR_EVER), pending=PENDING)
        assert reading.resume_at is not None
        waits.append(reading.resume_at.timestamp() - stage.now)
        stage.now += waits[-1]
    assert waits == [2, 2, 4, 8, 16, 30, 30]
    stage.now = created - 600  # a worker whose clock is behind
    [reading] = await stage.look(metric(script=FOR_EVER), pending=PENDING)
    assert reading.resume_at == reading.finished_at + timedelta(seconds=2)


async def test_a_job_that_is_under_way_says_how_it_stands(stage: Stage) -> None:
    await stage.look(metric(script=FOR_EVER))

    async def has_a_pod() -> bool:
        return bool((await stage.job()).get("status", {}).get("ready"))

    await stage.until(has_a_pod)
    [reading] = await stage.look(metric(script=FOR_EVER), pending=PENDING)
    assert verdict(reading).reason == f"Job {NAME} is under way; pods: 1 active, 1 ready"


async def test_a_job_that_somebody_deleted_is_an_error(stage: Stage) -> None:
    await stage.look(metric(script=FOR_EVER))
    await stage.cluster.delete(JOBS, "payments", NAME)
    [reading] = await stage.look(metric(script=FOR_EVER), pending=PENDING)
    said = verdict(reading)
    assert (said.phase, said.message) == (Phase.ERROR, f"Job payments/{NAME} not found: someone deleted it")
    assert await stage.names() == [], "it is not made again"


async def test_an_image_that_cannot_be_had_is_inconclusive(stage: Stage) -> None:
    lost = metric(image="registry.internal/lost:7")
    await stage.look(lost)

    async def is_stuck() -> bool:
        pods = await stage.cluster.select(PODS, "payments", {"job-name": NAME})
        return any("containerStatuses" in pod["status"] for pod in pods)

    await stage.until(is_stuck)
    [reading] = await stage.look(lost, pending=PENDING)
    said = verdict(reading)
    assert said.phase is Phase.INCONCLUSIVE
    assert "container main does not start with image registry.internal/lost:7: ErrImagePull" in said.message


async def test_metrics_fail_each_by_itself(stage: Stage) -> None:
    metrics = [metric("good", FOR_EVER), metric("odd", FOR_EVER, spec={"backoffLimit": -1})]
    good, odd = await stage.look(*metrics)
    assert verdict(good).phase is Phase.RUNNING
    assert "422" in odd.error
    assert "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0" in odd.error
    assert await stage.names() == [job_name(UID, "good", 1)]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"spec": {"tempalte": {}}}, "provider.job.spec.tempalte: Extra inputs are not permitted"),
        ({"spec": {"backoffLimit": "3"}}, "provider.job.spec.backoffLimit: Input should be a valid integer"),
    ],
)
async def test_settings_that_are_none_are_named(stage: Stage, job: dict[str, Any], said: str) -> None:
    [reading] = await stage.look({"name": "m", "provider": {"job": job}})
    assert reading.error == said
    assert await stage.names() == []


async def test_a_namespace_that_is_not_there_is_named(stage: Stage) -> None:
    [reading] = await stage.look(metric(), namespace="nowhere")
    assert '404 namespaces "nowhere" not found' in reading.error


async def test_a_secret_never_gets_into_a_job(stage: Stage) -> None:
    reference = {"token": {"name": "tokens", "key": "smoke"}}
    [reading] = await stage.look(metric(script="curl -H {{args.token}}"), secret_args=reference)
    assert reading.error.startswith("provider.job: an argument from a Secret would stand in the Job")
    assert await stage.names() == []
    [reading] = await stage.look(metric(script=FOR_EVER), secret_args=reference)
    assert (reading.error, await stage.names()) == ("", [NAME]), "a Job needs no secret, so none is read"


async def test_old_jobs_go_as_their_measurements_do(stage: Stage) -> None:
    for number in range(1, 5):
        await stage.look(metric(), numbers={"smoke": number}, retention={"smoke": 2})
        await stage.until_ended(job_name(UID, "smoke", number))
    names = [job_name(UID, "smoke", number) for number in (3, 4)]
    await stage.until(lambda: _are(stage, names))


async def _are(stage: Stage, names: list[str]) -> bool:
    return await stage.names() == sorted(names)


async def test_jobs_are_ended_with_their_pods_and_ending_them_again_is_no_error(stage: Stage) -> None:
    await stage.look(metric("a", FOR_EVER), metric("b", FOR_EVER), metric("c", FOR_EVER))
    a, b, c = (job_name(UID, name, 1) for name in "abc")
    for _ in range(2):
        await stage.end(a, b, "never-there")
        await stage.until(lambda: _are(stage, [c]))

    async def pods_are_gone() -> bool:
        pods = await stage.cluster.select(PODS, "payments", {})
        return {pod["metadata"]["labels"]["job-name"] for pod in pods} == {c}

    await stage.until(pods_are_gone)


async def test_a_job_that_is_being_deleted_is_an_error_at_once(stage: Stage) -> None:
    await stage.look(metric(script=FOR_EVER))
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        held = {"metadata": {"finalizers": ["example.com/hold"]}}
        url = f"{stage.api.url}{JOBS.path('payments', NAME)}"
        await session.patch(url, headers={"Content-Type": MERGE_PATCH}, json=held)
    await stage.end(NAME)
    [reading] = await stage.look(metric(script=FOR_EVER), pending=PENDING)
    assert verdict(reading).message == f"Job payments/{NAME} is being deleted"


def test_names_are_ids_that_kubernetes_takes() -> None:
    label = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
    given = [("u", "smoke", 1), ("u", "smoke", 2), ("v", "smoke", 1), ("u", "Smoke", 1), ("u", "smo ke", 11)]
    given += [
        ("u", "x" * 200, 10**9),
        ("u", "--", 1),
        ("u", "", 1),
        ("u", "ümläut.und/anderes", 3),
        ("u", "a-" * 40, 7),
    ]
    names = [job_name(*each) for each in given]
    assert all(label.fullmatch(name) for name in names)
    assert len(set(names)) == len(names)
    assert names == [job_name(*each) for each in given]
    assert names[0].startswith("smoke-1-")
