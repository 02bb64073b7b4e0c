"""Events and AnalysisRun objects against the embedded Kubernetes API, and against servers that will not have them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import ANALYSIS_RUNS, EVENTS, FENCE_ANNOTATION, REPLICA_SETS, ROLLOUTS, Cluster
from activities.kubernetes.informers import Cache
from activities.kubernetes.json_patch import put
from activities.reconcile.kubernetes_events import Publisher
from sandbox.world import Part, World, open_world
from tests.activities.outside import Script
from tests.activities.test_cluster import HASH, ROLLOUT, SET, TARGET, Stage
from tests.unit.report.accounts import event, gate
from tidegate.analysis.status import Phase
from tidegate.contract import (
    WORKER_AGENT,
    AnalysisRef,
    AnalysisRunUpdate,
    ErrorType,
    Fence,
    PublishEvents,
)
from tidegate.manifests.rollout import RunHistory

SELECTOR = {"app": "checkout"}
NAME = f"checkout-{HASH}-2-1"
SPEC: dict[str, Any] = {"metrics": [{"name": "error-rate", "provider": {"job": {}}}]}
TOLD = (event(1, "RolloutPaused", "Rollout is paused (CanaryPauseStep)"), event(2, "RolloutAborted", warning=True))


FENCE = Fence(epoch=1, sequence=1)


def problems(logs: Sequence[Mapping[str, Any]]) -> list[str]:
    return [each["error"] for each in logs if each["event"] == "not published in the cluster"]


class Kubectl:
    """A Rollout in an embedded API, and what a release tells beside it."""

    def __init__(self, world: World, cluster: Cluster, worker: Cluster, cache: Cache, uid: str) -> None:
        self.stage = Stage(world, cluster, cache)
        self.cluster = cluster
        self.publisher = Publisher(worker)
        self.uid = uid

    def events(self, first: int = 1, uid: str = "") -> PublishEvents:
        return PublishEvents(target=TARGET, uid=uid or self.uid, run="r1", first=first, events=TOLD)

    async def tell(self, run: AnalysisRef, fence: Fence | None = None, hash_: str = HASH, **more: Any) -> None:
        await publish(self.publisher, run, fence or self.stage.fence(), uid=self.uid, hash_=hash_, **more)

    async def collect(self, current: tuple[str, ...] = (), **limits: int) -> None:
        await self.publisher.collect_analysis_runs(TARGET, self.uid, history(**limits), current=current)

    async def stored(self, name: str = NAME) -> Any:
        return await self.cluster.get(ANALYSIS_RUNS, "payments", name)

    async def names(self) -> set[str]:
        return {found["metadata"]["name"] for found in await self.cluster.select(ANALYSIS_RUNS, "payments", {})}


def history(**limits: int) -> RunHistory:
    names = {"successful": "successfulRunHistoryLimit", "unsuccessful": "unsuccessfulRunHistoryLimit"}
    return RunHistory.model_validate({names[name]: limit for name, limit in limits.items()})


async def publish(
    publisher: Publisher, run: AnalysisRef, fence: Fence, uid: str = "u1", hash_: str = HASH, **more: Any
) -> None:
    update = AnalysisRunUpdate.model_validate({"run": run, "spec": SPEC, **more})
    await publisher.publish_analysis_run(update, TARGET, fence, uid=uid, hash_=hash_, selector=SELECTOR)


def step(phase: Phase, name: str = NAME, **more: Any) -> AnalysisRef:
    return gate(phase, **more).model_copy(update={"name": name})


@pytest.fixture
async def kubectl() -> AsyncIterator[Kubectl]:
    async with open_world(frozenset({Part.CLUSTER})) as world:
        await world.apply([ROLLOUT])
        cluster = await Cluster.connect(url=world.kubernetes.url)
        worker = await Cluster.connect(url=world.kubernetes.url, agent=WORKER_AGENT)
        cache = Cache(cluster)
        try:
            rollout = await cluster.get(ROLLOUTS, TARGET.namespace, TARGET.name)
            yield Kubectl(world, cluster, worker, cache, rollout["metadata"]["uid"])
        finally:
            await cache.close()
            await cluster.close()
            await worker.close()


async def events_of(kubectl: Kubectl) -> list[tuple[str, str]]:
    found = await kubectl.cluster.select(EVENTS, "payments", {})
    mine = [each for each in found if each["involvedObject"]["uid"] == kubectl.uid]
    return sorted((each["reason"], each["type"]) for each in mine)


async def test_events_are_written_once_however_often_they_are_told(kubectl: Kubectl) -> None:
    for _ in range(2):
        await kubectl.publisher.publish_events(kubectl.events())
    assert await events_of(kubectl) == [("RolloutAborted", "Warning"), ("RolloutPaused", "Normal")]
    await kubectl.publisher.publish_events(kubectl.events(first=3))
    assert len(await events_of(kubectl)) == 4


async def test_an_analysis_run_appears_and_follows_what_is_known(kubectl: Kubectl) -> None:
    await kubectl.tell(step(Phase.RUNNING))
    begun = await kubectl.stored()
    assert (begun["status"]["phase"], begun["spec"]) == ("Running", SPEC)
    assert begun["metadata"]["labels"]["step-index"] == "1"
    assert begun["metadata"]["ownerReferences"][0]["uid"] == kubectl.uid
    await kubectl.tell(step(Phase.FAILED, message="because"))
    ended = await kubectl.stored()
    assert (ended["status"]["phase"], ended["status"]["message"]) == ("Failed", "because")
    assert ended["metadata"]["uid"] == begun["metadata"]["uid"]


async def test_telling_the_same_again_writes_nothing(kubectl: Kubectl) -> None:
    fence = kubectl.stage.fence()
    await kubectl.tell(step(Phase.RUNNING), fence)
    before = await kubectl.stored()
    await kubectl.tell(step(Phase.RUNNING), fence)
    assert await kubectl.stored() == before


async def test_a_late_write_does_not_undo_a_later_one(kubectl: Kubectl) -> None:
    early = kubectl.stage.fence()
    await kubectl.tell(step(Phase.FAILED))
    await kubectl.tell(step(Phase.RUNNING), early)
    assert (await kubectl.stored())["status"]["phase"] == "Failed"


async def test_what_others_added_stays(kubectl: Kubectl) -> None:
    await kubectl.tell(step(Phase.RUNNING))
    additions = [put("/spec/terminate", True), put("/metadata/labels/team", "payments"), put("/spec/metrics", [])]
    await kubectl.cluster.change(ANALYSIS_RUNS, "payments", NAME, kubectl.stage.fence(), lambda _: additions)
    await kubectl.tell(step(Phase.RUNNING), labels={"tier": "web"}, annotations={"note": "x"})
    found = await kubectl.stored()
    assert found["spec"] == {**SPEC, "terminate": True}
    assert found["metadata"]["labels"]["team"] == "payments"
    assert found["metadata"]["labels"]["tier"] == "web"
    assert found["metadata"]["annotations"]["note"] == "x"


async def test_an_object_without_labels_or_spec_gets_them(kubectl: Kubectl) -> None:
    await kubectl.tell(step(Phase.RUNNING))
    bare = [{"op": "remove", "path": path} for path in ("/metadata/labels", "/spec", "/status")]
    await kubectl.cluster.change(ANALYSIS_RUNS, "payments", NAME, kubectl.stage.fence(), lambda _: bare)
    await kubectl.tell(step(Phase.RUNNING))
    found = await kubectl.stored()
    assert (found["spec"], found["status"]["phase"]) == (SPEC, "Running")
    assert found["metadata"]["labels"]["rollout-type"] == "Step"


async def test_somebody_elses_object_is_left_alone(kubectl: Kubectl) -> None:
    metadata = {"name": NAME, "namespace": "payments", "labels": SELECTOR}
    theirs = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": metadata,
        "spec": {"metrics": []},
    }
    await kubectl.cluster.add(ANALYSIS_RUNS, "payments", theirs)
    with capture_logs() as logs:
        await kubectl.tell(step(Phase.RUNNING))
    [problem] = problems(logs)
    assert f"AnalysisRun payments/{NAME} exists and does not belong to Rollout checkout" in problem
    found = await kubectl.stored()
    assert found["spec"] == {"metrics": []}
    assert FENCE_ANNOTATION not in found["metadata"].get("annotations", {})
    await kubectl.collect()
    assert await kubectl.names() == {NAME}


async def test_runs_beyond_the_history_limits_go_and_those_of_the_release_stay(kubectl: Kubectl) -> None:
    await kubectl.stage.canary(1)
    for number, phase in enumerate((Phase.SUCCESSFUL, Phase.FAILED, Phase.ERROR, Phase.SUCCESSFUL, Phase.RUNNING)):
        await kubectl.tell(step(phase, f"run-{number}"))
    await kubectl.tell(step(Phase.RUNNING, "orphan"), hash_="gone")
    await kubectl.collect(current=("run-0", "orphan"))
    assert await kubectl.names() == {"run-0", "run-1", "run-2", "run-3", "run-4", "orphan"}
    for _ in range(2):
        await kubectl.collect(current=("run-0",), successful=0, unsuccessful=1)
        assert await kubectl.names() == {"run-0", "run-2", "run-4"}


async def test_runs_of_a_replica_set_that_is_deleted_go(kubectl: Kubectl) -> None:
    await kubectl.stage.canary(1)
    await kubectl.tell(step(Phase.SUCCESSFUL))
    await kubectl.cluster.delete(REPLICA_SETS, "payments", SET)
    assert await kubectl.names() == {NAME}
    await kubectl.collect()
    assert await kubectl.names() == set()


@asynccontextmanager
async def publisher_at(server: Script) -> AsyncIterator[Publisher]:
    async with server:
        cluster = await Cluster.connect(url=server.url)
        try:
            yield Publisher(cluster)
        finally:
            await cluster.close()


@pytest.mark.parametrize("status", [401, 403, 404, 422])
async def test_a_cluster_that_will_not_have_it_is_a_warning(status: int) -> None:
    events = PublishEvents(target=TARGET, uid="u1", run="r1", first=1, events=TOLD[:1])
    async with publisher_at(Script().then(status, {"message": "no such thing"})) as publisher:
        with capture_logs() as logs:
            await publisher.publish_events(events)
            await publish(publisher, step(Phase.RUNNING), FENCE)
            await publisher.collect_analysis_runs(TARGET, "u1", RunHistory())
    assert all(f"{status} no such thing" in problem for problem in problems(logs))
    warnings = [each for each in logs if each["log_level"] == "warning"]
    assert [(each["namespace"], each["rollout"]) for each in warnings] == [("payments", "checkout")] * 3


@pytest.mark.parametrize(("status", "kind"), [(503, ErrorType.UNAVAILABLE), (429, ErrorType.RATE_LIMITED)])
async def test_what_a_retry_may_help_is_raised(status: int, kind: ErrorType) -> None:
    async with publisher_at(Script().then(status, {"message": "later"})) as publisher:
        with pytest.raises(ApplicationError) as caught:
            await publish(publisher, step(Phase.RUNNING), FENCE)
    assert caught.value.type == kind
    assert not caught.value.non_retryable


async def test_one_event_that_is_refused_does_not_keep_back_the_next() -> None:
    server = Script().then(422, {"message": "no"}).then(201, {"metadata": {}})
    async with publisher_at(server) as publisher:
        request = PublishEvents(target=TARGET, uid="u1", run="r1", first=1, events=TOLD)
        with capture_logs() as logs:
            await publisher.publish_events(request)
    [problem] = problems(logs)
    assert "422 no" in problem
    assert [seen.json["reason"] for seen in server.seen] == ["RolloutPaused", "RolloutAborted"]


async def test_a_run_that_was_replaced_meanwhile_stays() -> None:
    labels = {"rollouts-pod-template-hash": "gone"}
    found = {"metadata": {"name": NAME, "uid": "a1", "labels": labels, "ownerReferences": [{"uid": "u1"}]}}
    server = Script().then(200, {"items": [found]}).then(200, {"items": []}).then(409, {"message": "uid"})
    async with publisher_at(server) as publisher:
        await publisher.collect_analysis_runs(TARGET, "u1", RunHistory())
    assert server.seen[-1].method == "DELETE"
    assert server.seen[-1].json["preconditions"] == {"uid": "a1"}


async def test_a_conflict_about_something_else_than_the_name_does_not_count_as_told() -> None:
    """A quota that others write to answers a creation so."""
    server = Script().then(409, {"message": "quota", "reason": "Conflict"}).then(201, {"metadata": {}})
    server = server.then(409, {"message": "exists", "reason": "AlreadyExists"})
    async with publisher_at(server) as publisher:
        request = PublishEvents(target=TARGET, uid="u1", run="r1", first=1, events=TOLD[:1])
        with pytest.raises(ApplicationError, match="409 quota"):
            await publisher.publish_events(request)
        for _ in range(2):
            await publisher.publish_events(request)
    assert len(server.seen) == 3


async def test_an_object_that_comes_between_look_and_create_is_brought_up_to_date() -> None:
    found = {"metadata": {"name": NAME, "resourceVersion": "7", "ownerReferences": [{"uid": "u1"}]}}
    taken = {"message": "exists", "reason": "AlreadyExists"}
    server = Script().then(404, {"message": "none"}).then(409, taken).then(200, found)
    async with publisher_at(server) as publisher:
        await publish(publisher, step(Phase.RUNNING), FENCE)
    assert [seen.method for seen in server.seen] == ["GET", "POST", "GET", "PATCH"]
