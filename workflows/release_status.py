"""Status of a release: steps, weights, waits, analyses, events; shown by the query and in the Temporal UI.

The release state decides nothing. It takes what happens and keeps the query's answer, the live details, the search
attributes and the Rollout's `.status` in step with that.
"""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import AnalysisStatus
    from tidegate.contract import (
        AnalysisRef,
        Compensation,
        CompensationState,
        CompensationStatus,
        DesiredState,
        Document,
        ErrorType,
        FollowedUp,
        Observation,
        Reconciled,
        ReleaseRequest,
        ReleaseStatus,
        ReplicaCounts,
        RolloutObject,
        StatusReport,
        StrategyName,
        TrafficState,
        WeightStatus,
    )
    from tidegate.manifests.labels import labels_of
    from tidegate.manifests.plain_text import harmless
    from tidegate.rollouts.phase import RolloutPhase
    from tidegate.rollouts.replica_sets import ReplicaSetState
    from tidegate.rollouts.restarts import parse_timestamp
    from tidegate.rollouts.version import Version, version_of
    from workflows.effective_weights import EffectiveWeights
    from workflows.follow_up_events import report_of
    from workflows.inputs import requested_at
    from workflows.publication import Publication
    from workflows.status_record import StatusRecord
    from workflows.step_record import StepRecord, steps_of
    from workflows.waits import NamedWaits

MAX_REQUESTS = 20
MAX_WARNINGS = 50


class ReleaseState:
    """Facts of one release. `waits` names its waits, `steps` follows its steps, `publication` publishes its state."""

    def __init__(self) -> None:
        self._record = StatusRecord()
        self.publication = Publication(self._record)
        self.waits = NamedWaits(self._record, self.publication)
        self.steps = StepRecord(self._record, self.publication)
        self._current: ReleaseRequest | None = None
        self.latest_rollout: Document | None = None  # of the latest request of the version under way
        self._active_service = ""  # of blue-green: what it selects gets all of the traffic
        self._restart_at: datetime | None = None
        self.traffic: TrafficState | None = None
        self.weights = EffectiveWeights()
        self.is_late = False
        self.drifts = 0  # passes that had to put right external changes
        self.external_editor = ""
        self._version: Version | None = None  # the one that was read last
        self._next = ""  # id of the update that requested the newer version

    @property
    def _status(self) -> ReleaseStatus:
        return self._record.current

    def status(self) -> ReleaseStatus:
        """Answer of the `status` query."""
        return self.publication.status()

    def report(self) -> StatusReport:
        """List everything that the next pass is to publish."""
        return self.publication.report(late=self.is_late)

    def event(self, reason: str, message: str, *, warning: bool = False, analysis: str = "") -> None:
        """Record an event and publish it; `analysis` names the analysis run that it is about."""
        self.publication.event(reason, message, warning=warning, analysis=analysis)

    def warn(self, text: str) -> None:
        """Keep a warning beside those of the manifest, once."""
        if text not in self._status.warnings and len(self._status.warnings) < MAX_WARNINGS:
            self._record.set(warnings=(*self._status.warnings, text))
        self.publication.show_details()

    # ---------------------------------------------------------------------------------------------------------- begin

    def note_request(self, request: ReleaseRequest) -> RolloutObject:
        """Note a requested version before it is checked; the object in it may be unsound, or gone."""
        rollout = RolloutObject.of(request.resolved().rollout)
        self._version = rollout.version
        if self._status.requested_at is None:
            self._record.set(requested_at=requested_at(request))
        self._record.set(versions=self._status.versions + 1, requests=(self._next,) if self._next else ())
        self._next = ""
        if rollout.uid:
            self.publication.follow(rollout)
        return rollout

    def start_version(
        self,
        request: ReleaseRequest,
        desired: DesiredState,
        steps: list[str],
        warnings: tuple[str, ...],
        seen: Observation,
    ) -> None:
        """Note an admitted version, the first of this run or a newer one: its steps start over."""
        live = seen.rollout
        self._current, version = request, version_of(request.rollout)
        self.latest_rollout, strategy = request.rollout, StrategyName.of(request.rollout)
        self._active_service = str((request.rollout["spec"]["strategy"].get(strategy) or {}).get("activeService") or "")
        self.weights = EffectiveWeights()
        self._restart_at = parse_timestamp(request.rollout["spec"].get("restartAt"))
        self._record.labels = labels_of(request.rollout)
        if live is not None:
            self._record.set(restarted_at=parse_timestamp((live.get("status") or {}).get("restartedAt")))
            requested = (self.publication.written.object or RolloutObject()).has_requested(live, request.rollout)
            known = RolloutObject.of(request.rollout).seen_as(RolloutObject.of(live), requested=requested)
            self.publication.follow(known)
        self._record.set(
            namespace=request.namespace,
            name=request.name,
            cluster=request.cluster,
            phase=RolloutPhase.PROGRESSING,
            message="",
            desired_hash=desired.hash,
            steps=steps_of(steps, desired.index or 0),
            template_hash=version.template_hash,
            collision_count=seen.collision_count,
            step_hash=version.step_hash,
            strategy=strategy,
            step_index=desired.index,
            promoted_full=False,
            promotion_reason="",
            version_number=self._status.versions,
            finished_at=None,
            set_weight=0,
            warnings=warnings,
            by=request.by,
            source=request.source,
        )

    def is_last_read(self, request: ReleaseRequest) -> bool:
        """True for the version that was read last; for any version when none could be read."""
        return self._version in (None, version_of(request.rollout))

    def is_current(self, request: ReleaseRequest) -> bool:
        """True for the version that the release is bringing out already."""
        current = self._current
        # Without templates in a request they stay as they are: a Rollout object never brings any.
        if current is None or request.templates not in ((), current.templates):
            return False
        return version_of(request.rollout) == version_of(current.rollout)

    def is_overtaken(self, request: ReleaseRequest) -> bool:
        """True when the current version was requested after a request that was rejected for a short time."""
        known = self._status.requested_at
        return request.requested_at is not None and known is not None and known > request.requested_at

    def note_newer_request(self, request: ReleaseRequest, update: str) -> None:
        """Note the request for a newer version, by the id of its update."""
        self._next = update
        self._record.set(requested_at=requested_at(request))

    def note_repeated_request(self, request: ReleaseRequest, update: str) -> None:
        """Note another request for the version under way. Other changes of the spec count later: they are an event."""
        others = [each for each in self._status.requests if each != update]
        before = self._status.requested_at
        self._record.set(
            requests=(*others, update)[-MAX_REQUESTS:],
            requested_at=max(before, requested_at(request)) if before is not None else requested_at(request),
        )
        self.latest_rollout = request.rollout
        rollout, known = RolloutObject.of(request.rollout), self.publication.written.object
        if known is not None and known.uid == rollout.uid:
            self.publication.written.object = known.requested_again(rollout)
        spec, current = request.rollout.get("spec"), self._current.rollout.get("spec") if self._current else None
        if isinstance(spec, dict) and isinstance(current, dict) and spec != current:
            self._restart_again(parse_timestamp(spec.get("restartAt")), request)
            names = {*spec, *current} - {"restartAt", "template"}
            if changed := sorted(name for name in names if spec.get(name) != current.get(name)):
                fields = ", ".join(f"spec.{name}" for name in changed)
                self.event("RolloutUpdated", f"changed beside template and steps, for the next release: {fields}")

    def revision(self, number: int, stable_hash: str) -> None:
        """Set the revision of the version, and the stable hash."""
        self._record.set(revision=number, stable_hash=stable_hash)

    def set_desired_weight(self, weight: int, *, last: bool = False) -> None:
        """Note the percent of the traffic that the version is to get; `last`: all of it would follow."""
        self.weights.is_last = last
        self._record.set(set_weight=weight)

    def promoted(self, hash_: str, reason: str) -> None:
        """Take note that a revision was fully promoted, and why."""
        self._record.set(stable_hash=hash_, promotion_reason=reason)

    # ------------------------------------------------------------------------------------------------------- restarts

    @property
    def restart_due(self) -> datetime | None:
        """`spec.restartAt` while pods from before it are still to be replaced."""
        restarted = self._status.restarted_at
        return (
            None if restarted is not None and self._restart_at and restarted >= self._restart_at else self._restart_at
        )

    @property
    def restarting(self) -> bool:
        """True while pods are being replaced."""
        return self._status.restarting

    @restarting.setter
    def restarting(self, value: bool) -> None:
        if value != self._status.restarting:
            self._record.set(restarting=value)

    def _restart_again(self, at: datetime | None, request: ReleaseRequest) -> None:
        """Note another `spec.restartAt`, and who asks for it; None changes nothing."""
        if at is not None and at != self._restart_at:
            self._restart_at, why = at, ": ".join(filter(None, (request.by or "somebody", request.reason)))
            self.event("RestartRequested", f"new pods for those created before {at.isoformat()}, asked for by {why}")

    def restarted(self, at: datetime) -> None:
        """Note that no pod from before that time is left."""
        self._record.set(restarted_at=at, restarting=False)
        self.event("RolloutRestarted", f"pods created before {at.isoformat()} were replaced")

    # ------------------------------------------------------------------------------------------------------ the world

    def reconciled(self, seen: Reconciled, report: StatusReport) -> None:
        """Take the result of a pass; `report` is what it was to publish."""
        if seen.state_digest:
            self.replica_sets(seen.replica_sets, seen.replicas)
        self.publication.add(*seen.events)
        self.drifts += bool(seen.external_changes)
        for edit in seen.external_changes:
            who = f" by {edit.manager}" if edit.manager else ""
            self.external_editor = edit.manager or "somebody"
            self.event("ForeignWeights", f"{edit.name} {edit.route}: {edit.what}{who}", warning=True)
        if seen.traffic is not None:
            self.routed(seen.traffic, f"step {self._status.step_number}")
        if self._active_service in seen.selectors:
            self._switched(seen.selectors[self._active_service])
        self.publication.published(seen, report, self._version)

    def replica_sets(self, sets: tuple[ReplicaSetState, ...], replicas: int) -> None:
        """Take the ReplicaSets of the last read, newest revision first."""
        new = next((found for found in sets if found.hash == self._status.desired_hash), None)
        counts = ReplicaCounts.of(sets, self._status.desired_hash, replicas)
        self._record.set(replica_sets=sets, counts=counts, images=new.images if new else self._status.images)

    def routed(self, traffic: TrafficState, reason: str) -> None:
        """Take the weights that were written and read back.

        Once the version is stable, both sides are its pods: a weight says nothing of it any more.
        """
        self.traffic = traffic
        if self._status.stable_hash == self._status.desired_hash:
            return
        if traffic.verified != self._status.weight_verified:
            self._record.set(weight_verified=traffic.verified)
        self._note_share(traffic.percent, reason)

    def selected_stable(self, before: str, stable_hash: str) -> None:
        """Note that `activeService` is back on the stable version, from the hash that it selected before."""
        if before != stable_hash:
            names = f"'{self._active_service}' from '{before}' to '{stable_hash}'"
            self.event("SwitchService", f"Switched selector for service {names}")
        self._switched(stable_hash)

    def _switched(self, hash_: str) -> None:
        """Take what `activeService` selects, as it was read back: all of the traffic, or nothing."""
        is_active = hash_ == self._status.desired_hash
        if self._status.stable_hash != self._status.desired_hash:
            self._note_share(100 if is_active else 0, f"Service {self._active_service} was switched")

    def _note_share(self, percent: int, reason: str) -> None:
        """Note the version's share of the traffic, where it is another one."""
        if percent != self._status.actual_weight:
            row = WeightStatus(at=workflow.now(), canary=percent, reason=reason)
            self._record.set(actual_weight=percent, weights=(*self._status.weights, row))
            self.weights.add(percent, self._status)

    def progressing(self) -> None:
        """Note progress: a progress deadline that had passed no longer counts."""
        if self.is_late:
            self.is_late = False
            self.phase(RolloutPhase.PROGRESSING, "")

    def late(self, message: str) -> None:
        """Note that the progress deadline passed; without progressDeadlineAbort the release goes on, as in Argo."""
        self.is_late = True
        self.phase(RolloutPhase.DEGRADED, f"{ErrorType.PROGRESS_DEADLINE_EXCEEDED}: {message}")
        self.event("ProgressDeadlineExceeded", message, warning=True)

    def analysis(self, reference: AnalysisRef) -> None:
        """Take the latest state of an analysis run."""
        others = tuple(a for a in self._status.analyses if a.workflow_id != reference.workflow_id)
        self._record.set(analyses=(*others, reference))
        self.publication.pending.updated(reference)

    def name_taken(self, reference: AnalysisRef) -> None:
        """Drop an analysis run whose name belongs to another run; it is started under another name."""
        self._record.set(analyses=tuple(a for a in self._status.analyses if a.workflow_id != reference.workflow_id))
        self.publication.pending.forget(reference)
        self.event("AnalysisRunNameTaken", f"another analysis run is called {reference.name}", warning=True)

    def latest_status(self, reference: AnalysisRef) -> AnalysisStatus:
        """The latest status of an analysis run."""
        known = {each.workflow_id: each.status for each in self._status.analyses}
        return known.get(reference.workflow_id, reference.status)

    def measured(self, status: AnalysisStatus) -> None:
        """Take the verdicts that a running analysis run sent."""
        for reference in self._status.analyses:
            if reference.name == status.name and not reference.status.phase.completed:
                self.analysis(reference.model_copy(update={"status": status}))

    def compensation(self, name: Compensation, state: CompensationState, detail: str = "") -> None:
        """Set the state of a compensation."""
        rows = {row.name: row for row in self._status.compensations}
        rows[name] = CompensationStatus(name=name, state=state, detail=harmless(detail), at=workflow.now())
        self._record.set(compensations=tuple(rows.values()))

    def followed_up(self, ended: FollowedUp) -> None:
        """Take the result of an effect; a compensation that ended before is not changed any more.

        Raises ValidationError for an answer that is not that of the effect.
        """
        row = next((row for row in self._status.compensations if row.name == ended.name), None)
        if row is not None and row.state is not CompensationState.RUNNING:
            return
        incident, event = report_of(ended)
        if incident is not None:
            self._record.set(incident=incident)
        if row is not None:
            self.compensation(row.name, CompensationState(ended.state), ended.message)
        if event is not None:
            self.event(event.reason, event.message, warning=event.warning)

    def refuse(self, cause: str) -> None:
        """Note that the version was rejected for its spec."""
        self._record.set(ended_by=ErrorType.INVALID_SPEC, cause=harmless(cause))
        self.phase(RolloutPhase.DEGRADED, f"{ErrorType.INVALID_SPEC}: {cause}", finished=True)

    def abort(self, ended_by: ErrorType, cause: str) -> None:
        """Note the start of an abort."""
        self._record.set(aborting=True, ended_by=ended_by, cause=harmless(cause), set_weight=0)
        self.phase(RolloutPhase.DEGRADED, f"{ended_by}: {self.abort_text(cause)}")

    def aborted(self) -> None:
        """Note the end of an abort."""
        status = self._status
        message = f"{status.ended_by}: {self.abort_text(status.cause)}{status.complaint}"
        self.phase(RolloutPhase.DEGRADED, message, finished=True)

    def abort_text(self, cause: str) -> str:
        """Argo's message for an abort (argo-rollouts, RolloutAbortedMessage)."""
        return f"Rollout aborted update to revision {self._status.revision}: {cause}"

    def phase(self, phase: RolloutPhase, message: str, *, finished: bool = False) -> None:
        """Set the phase of the release and its message."""
        self._record.set(phase=phase, message=harmless(message), finished_at=workflow.now() if finished else None)
