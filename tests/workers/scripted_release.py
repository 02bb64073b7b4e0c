"""A release with the doors of the real one and nothing behind them: what a client says decides how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tidegate.client.refs import images_of
from tidegate.contract import (
    MEMO_LABELS,
    ROLLOUT_WORKFLOW,
    Accepted,
    Activity,
    CompensationStatus,
    ErrorType,
    Event,
    Observation,
    ObserveRequest,
    Query,
    ReleaseRequest,
    ReleaseResult,
    ReleaseStatus,
    Update,
    Waiting,
    parse_message,
    rollout_id,
)
from tidegate.manifests.labels import labels_of
from tidegate.rollouts.replica_sets import PodState, ReplicaSetState

Answering = Callable[[], AbstractAsyncContextManager[object]]  # a worker for these releases, while its context lasts


def request(**changes: Any) -> ReleaseRequest:
    image = changes.pop("image", "checkout:1")
    containers = [{"name": "checkout", "image": image}]
    rollout = {"kind": "Rollout", "spec": {"template": {"spec": {"containers": containers}}}}
    fields = {"namespace": "payments", "name": "checkout", "rollout": rollout} | changes
    return ReleaseRequest(**fields)


@workflow.defn(name=ROLLOUT_WORKFLOW)
class ScriptedRelease:
    """Promoted it ends Healthy, aborted RolloutAborted; paused it waits for a person."""

    @workflow.init
    def __init__(self, request: ReleaseRequest) -> None:
        self.first = self.request = request
        self.said: list[str] = []
        self.requests: list[str] = []
        self.versions = 1
        self.ending = ""
        self.hold: Waiting | None = None

    @workflow.run
    async def run(self, request: ReleaseRequest) -> ReleaseResult:
        workflow.upsert_memo({MEMO_LABELS: labels_of(request.rollout)})
        await workflow.wait_condition(lambda: bool(self.ending))
        await workflow.wait_condition(workflow.all_handlers_finished)
        status = self.status()
        if self.ending == "promote":
            return ReleaseResult(outcome="Healthy", message="all steps done", revision=2, hash="abc", status=status)
        result = ReleaseResult(outcome="RolloutAborted", message=self.ending, revision=2, hash="abc", status=status)
        raise ApplicationError(self.ending, result.model_dump(mode="json"), type=ErrorType.ROLLOUT_ABORTED)

    @workflow.update(name=Update.RELEASE)
    async def release(self, request: ReleaseRequest) -> Accepted:
        if request.reason == "refuse":
            raise ApplicationError("weight 120", type=ErrorType.INVALID_SPEC, non_retryable=True)
        if request.reason == "too late" and self.first.reason != "too late":
            self.ending = "too late"
            raise ApplicationError("ending; ask again", type=ErrorType.REJECTED, non_retryable=True)
        update = workflow.current_update_info()
        assert update is not None
        if images_of(request.rollout) != images_of(self.request.rollout):
            self.versions, self.requests = self.versions + 1, []
        self.request = request
        self.requests.append(update.id)
        self.said.append("release")
        return Accepted(message=f"release {len(self.said)}", run_id=workflow.info().run_id)

    @workflow.signal(dynamic=True)
    def heard(self, name: str, arguments: Sequence[RawValue]) -> None:
        message = parse_message(workflow.payload_converter().from_payload(arguments[0].payload))
        self._take(name, message.reason)

    @workflow.update(dynamic=True)
    def told(self, name: str, arguments: Sequence[RawValue]) -> Accepted:
        message = parse_message(workflow.payload_converter().from_payload(arguments[0].payload))
        self._take(name, message.reason)
        return Accepted(message=f"{name} by {message.by}")

    def _take(self, name: str, reason: str) -> None:
        self.said.append(name)
        if name == "pause":
            self.hold = Waiting(what="a person", since=workflow.now(), who="promote or abort", only_operator=True)
        elif name in ("promote", "abort"):
            self.ending = name if name == "promote" else reason or "aborted"

    @workflow.query(name=Query.STATUS)
    def status(self) -> ReleaseStatus:
        info = workflow.info()
        failed = CompensationStatus(name="incident", state="failed", detail="401")
        return ReleaseStatus(
            workflow_id=rollout_id(self.request.cluster, self.request.namespace, self.request.name),
            run_id=info.run_id,
            cluster=self.request.cluster,
            namespace=self.request.namespace,
            name=self.request.name,
            phase={"": "Paused" if self.hold else "Progressing", "promote": "Healthy"}.get(self.ending, "Degraded"),
            message=self.ending,
            started_at=info.start_time,
            finished_at=info.start_time if self.ending else None,
            images=images_of(self.request.rollout),
            waiting=self.hold,
            events=tuple(Event(at=info.start_time, reason=said, message="") for said in self.said),
            compensations=(failed,) if self.ending == "undo failed" else (),
            versions=self.versions,
            requests=tuple(self.requests),
        )


@activity.defn(name=Activity.OBSERVE)
async def observe(request: ObserveRequest) -> Observation:
    pods = (PodState(name=f"{request.target.name}-1", phase="Running", ready=True),) if request.pods else ()
    started = activity.info().started_time
    sets = ReplicaSetState(
        name=request.target.name, hash="abc", revision=2, desired=1, current=1, ready=1, available=1, pods=pods
    )
    return Observation(at=started, rollout=request.rollout, replica_sets=(sets,))
