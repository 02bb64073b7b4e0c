"""What a release knows of itself: steps, weights, waits, analyses, events; shown by the query and in the Temporal UI.

The release state decides nothing. It hears what happens; it keeps the query's answer, the live details, the search
attributes and the Rollout's `.status` in step with that.
"""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import AnalysisStatus
    from tidegate.canary.conditions import Reason
    from tidegate.canary.phase import RolloutPhase
    from tidegate.canary.restarts import moment
    from tidegate.canary.version import Version, version_of
    from tidegate.contract import (
        SEARCH_PHASE,
        SEARCH_REVISION,
        SEARCH_WEIGHT,
        AnalysisRef,
        Compensation,
        CompensationState,
        CompensationStatus,
        DesiredState,
        Document,
        ErrorType,
        FollowedUp,
        Meanwhile,
        Observation,
        Reconciled,
        ReleaseRequest,
        ReleaseStatus,
        ReplicaCounts,
        ReplicaSetState,
        RolloutObject,
        StatusReport,
        StepState,
        StepStatus,
        TrafficState,
        WeightStatus,
    )
    from tidegate.manifests.plain_text import harmless
    from tidegate.report import details, rollout_status
    from workflows.follow_up_events import report_of
    from workflows.notes import Notes
    from workflows.published_status import PublishedStatus
    from workflows.rejections import PASSES, Rejections

MAX_REQUESTS = 20
AN_OPERATOR = "an operator: tidegate promote, or tidegate abort"


class ReleaseState(Notes):
    """Mutable notes of one release; `status()` is the only way to read them from outside the run."""

    def __init__(self) -> None:
        super().__init__()
        self._current: ReleaseRequest | None = None
        self._attributes: tuple[str, int, int] | None = None
        self.traffic: TrafficState | None = None
        self.is_late = False
        self.drifts = 0  # passes that had to put right what somebody else had written
        self.external_editor = ""
        self._looked_at: Version | None = None
        self._next = ""  # id of the update that asked for the newer version
        self._rejections = Rejections()

    def status(self) -> ReleaseStatus:
        """Answer of the `status` query."""
        return self._status.model_copy(update={"object": self.page.object})

    def report(self) -> StatusReport:
        """What the next pass is to bring out."""
        status, message = self._unwritten(), rollout_status(self._status)["message"]
        return StatusReport(
            status=status,
            message=message,
            late=self.is_late,
            abort_cause=self._status.cause,
            unpublished=self.news.unpublished(),
            failing=self._rejections.causes(PASSES),
            refused=self._rejections.reason(PASSES),
            set_by=self.page.set_by,
        )

    def meanwhile(self, asked: RolloutObject) -> Meanwhile | None:
        """What the object that asked is to say while nothing can be brought out, as the cluster cannot be looked at."""
        if self._status.failing is None or not asked.uid:
            return None
        return Meanwhile(asked=asked, message=rollout_status(self._status)["message"])

    def _unwritten(self) -> Document:
        """Fields of the Rollout's `.status`, as Argo names them, that do not stand there yet."""
        return self.page.unwritten(rollout_status(self.status()))

    @property
    def has_pending(self) -> bool:
        """Whether there is something that the Rollout object does not say yet."""
        return bool(self._unwritten()) or bool(self.news)

    # ---------------------------------------------------------------------------------------------------------- begin

    def asked_by(self, request: ReleaseRequest) -> RolloutObject:
        """A version is looked at that an object may have asked for; it need not be sound, nor the object be there."""
        asked = RolloutObject.of(request.resolved().rollout)
        self._looked_at = asked.asks_for
        if self._status.asked_at is None:
            self._set(asked_at=_asked_at(request))
        self._set(versions=self._status.versions + 1, requests=(self._next,) if self._next else ())
        self._next = ""
        if asked.uid:
            self.page = PublishedStatus(asked, before=self.page)
        return asked

    def begin(
        self,
        request: ReleaseRequest,
        desired: DesiredState,
        steps: list[str],
        warnings: tuple[str, ...],
        seen: Observation,
    ) -> None:
        """A version was taken on, the first of this run or a newer one: its steps start over."""
        live = seen.rollout
        self._current, asked = request, version_of(request.rollout)
        self._restart_at = moment(request.rollout["spec"].get("restartAt"))
        if live is not None:
            self._set(restarted_at=moment((live.get("status") or {}).get("restartedAt")))
            heard = (self.page.object or RolloutObject()).has_heard(live, request.rollout)
            known = RolloutObject.of(request.rollout).seen_as(RolloutObject.of(live), heard=heard)
            self.page = PublishedStatus(known, before=self.page)
        self._set(
            namespace=request.namespace,
            name=request.name,
            cluster=request.cluster,
            phase=RolloutPhase.PROGRESSING,
            message="",
            desired_hash=desired.hash,
            steps=_steps(steps, desired.index or 0),
            template_hash=asked.template_hash,
            collision_count=seen.collision_count,
            step_hash=asked.step_hash,
            step_index=desired.index,
            promoted_full=False,
            promotion_reason="",
            begun=self._status.versions,
            finished_at=None,
            set_weight=0,
            warnings=warnings,
            by=request.by,
            source=request.source,
        )

    def looked_at(self, request: ReleaseRequest) -> bool:
        """Whether this is the version that was looked at last; also of any, when none could be read."""
        return self._looked_at in (None, version_of(request.rollout))

    def is_current(self, request: ReleaseRequest) -> bool:
        """Whether this is the version that the release is bringing out already."""
        current = self._current
        # Templates that are not given with a request are not asked to change: a Rollout object never brings any.
        if current is None or request.templates not in ((), current.templates):
            return False
        return version_of(request.rollout) == version_of(current.rollout)

    def is_overtaken(self, request: ReleaseRequest) -> bool:
        """Whether what is to be brought out was asked for after a request that had been turned down for a moment."""
        known = self._status.asked_at
        return request.asked_at is not None and known is not None and known > request.asked_at

    def asked_next(self, request: ReleaseRequest, update: str) -> None:
        """A newer version was asked for by the update of that id."""
        self._next = update
        self._set(asked_at=_asked_at(request))

    def asked_again(self, request: ReleaseRequest, update: str) -> None:
        """The version under way was asked for once more; what else changed is told, as it does not count yet."""
        others = [each for each in self._status.requests if each != update]
        before = self._status.asked_at
        self._set(
            requests=(*others, update)[-MAX_REQUESTS:],
            asked_at=max(before, _asked_at(request)) if before is not None else _asked_at(request),
        )
        asked, known = RolloutObject.of(request.rollout), self.page.object
        if known is not None and known.uid == asked.uid:
            self.page.object = known.asked_again(asked)
        spec, current = request.rollout.get("spec"), self._current.rollout.get("spec") if self._current else None
        if isinstance(spec, dict) and isinstance(current, dict) and spec != current:
            self._restart_at = moment(spec.get("restartAt")) or self._restart_at
            names = {*spec, *current} - {"restartAt", "template"}
            if changed := sorted(name for name in names if spec.get(name) != current.get(name)):
                fields = ", ".join(f"spec.{name}" for name in changed)
                self.event("RolloutUpdated", f"changed beside template and steps, for the next release: {fields}")

    def revision(self, number: int, stable_hash: str) -> None:
        """The release got its number."""
        self._set(revision=number, stable_hash=stable_hash)

    def asks_for(self, weight: int) -> None:
        """So many percent of the traffic are to go to the version."""
        self._set(set_weight=weight)

    def stable(self, hash_: str, reason: str) -> None:
        """Take note that a revision was fully promoted, and why."""
        self._set(stable_hash=hash_, promotion_reason=reason)

    # ------------------------------------------------------------------------------------------------------ the world

    def seen(self, seen: Reconciled, report: StatusReport) -> None:
        """What a pass did, and what stands after it; `report` is what it was to bring out."""
        if seen.state_digest:
            self.replica_sets(seen.replica_sets, seen.replicas)
        self._add_events(*seen.events)
        if seen.left:
            self.news.was_left(seen.events if self.page.object is not None else ())
        elif seen.events_published and report.unpublished is not None:
            self.news.was_published(report.unpublished)
        self.drifts += bool(seen.external_changes)
        for edit in seen.external_changes:
            who = f" by {edit.manager}" if edit.manager else ""
            self.external_editor = edit.manager or "somebody"
            self.event("ForeignWeights", f"{edit.virtual_service} {edit.route}: {edit.what}{who}", warning=True)
        if seen.traffic is not None:
            self.routed(seen.traffic, f"step {self._status.step_index}")
        self.page.took_away(seen.flags_taken)
        if seen.published:
            self.page.wrote(report.status, seen.object, self._looked_at)

    def failing_since(self, of: str = PASSES) -> datetime | None:
        """Since when the cluster refuses that work, None while it does not."""
        return self._rejections.since(of)

    def rejections(self, of: str) -> tuple[str, ...]:
        """What the cluster refuses of that work, in its words."""
        return self._rejections.causes(of)

    def refused(self, what: str, of: str = PASSES, reason: Reason = Reason.REFUSED) -> None:
        """The cluster refuses something, in its own words; empty: it does no longer. Each cause is told once."""
        is_new = self._rejections.note(what, of, reason)
        if self._rejections.failing != self._status.failing:
            self._set(failing=self._rejections.failing)
        if is_new:
            self.event(reason, what, warning=True)

    def replica_sets(self, sets: tuple[ReplicaSetState, ...], replicas: int) -> None:
        """ReplicaSets as they were just read, newest revision first."""
        new = next((found for found in sets if found.hash == self._status.desired_hash), None)
        counts = ReplicaCounts.of(sets, self._status.desired_hash, replicas)
        self._set(replica_sets=sets, counts=counts, images=new.images if new else self._status.images)

    def routed(self, traffic: TrafficState, reason: str) -> None:
        """The traffic stands so, written and read back.

        Once the version is stable both sides are its pods: a weight says nothing of it any more.
        """
        self.traffic = traffic
        if self._status.stable_hash != self._status.desired_hash and traffic.canary != self._status.actual_weight:
            row = WeightStatus(at=workflow.now(), canary=traffic.canary, reason=reason)
            self._set(actual_weight=traffic.canary, weights=(*self._status.weights, row))

    def progressing(self) -> None:
        """There was progress: a deadline that had passed counts no more."""
        if self.is_late:
            self.is_late = False
            self.phase(RolloutPhase.PROGRESSING, "")

    def late(self, message: str) -> None:
        """The progress deadline passed; without progressDeadlineAbort the release goes on trying, as in Argo."""
        self.is_late = True
        self.phase(RolloutPhase.DEGRADED, f"{ErrorType.PROGRESS_DEADLINE_EXCEEDED}: {message}")
        self.event("ProgressDeadlineExceeded", message, warning=True)

    def analysis(self, reference: AnalysisRef) -> None:
        """An analysis run was started, or said something; the newest word of each run counts."""
        others = tuple(a for a in self._status.analyses if a.workflow_id != reference.workflow_id)
        self._set(analyses=(*others, reference))
        self.news.stands(reference)

    def not_begun(self, reference: AnalysisRef) -> None:
        """An analysis run of that name is somebody else's: this one is begun under another."""
        self._set(analyses=tuple(a for a in self._status.analyses if a.workflow_id != reference.workflow_id))
        self.news.forget(reference)
        self.event("AnalysisRunNameTaken", f"another analysis run is called {reference.name}", warning=True)

    def attributed_to(self, reference: AnalysisRef) -> AnalysisStatus:
        """The newest word of an analysis run."""
        known = {each.workflow_id: each.status for each in self._status.analyses}
        return known.get(reference.workflow_id, reference.status)

    def measured(self, said: AnalysisStatus) -> None:
        """An analysis run sent its verdicts while it goes on."""
        for reference in self._status.analyses:
            if reference.name == said.name and not reference.status.phase.completed:
                self.analysis(reference.model_copy(update={"status": said}))

    def compensation(self, name: Compensation, state: CompensationState, detail: str = "") -> None:
        """Something that follows an abort was begun, done or given up."""
        rows = {row.name: row for row in self._status.compensations}
        rows[name] = CompensationStatus(name=name, state=state, detail=harmless(detail), at=workflow.now())
        self._set(compensations=tuple(rows.values()))

    def followed_up(self, told: FollowedUp) -> None:
        """What follows a decision ended so; a compensation that ended before is not changed any more.

        Raises ValidationError for an answer that is not that of the effect.
        """
        row = next((row for row in self._status.compensations if row.name == told.name), None)
        if row is not None and row.state is not CompensationState.RUNNING:
            return
        incident, event = report_of(told)
        if incident is not None:
            self._set(incident=incident)
        if row is not None:
            self.compensation(row.name, CompensationState(told.state), told.message)
        if event is not None:
            self.event(event.reason, event.message, warning=event.warning)

    def refuse(self, cause: str) -> None:
        """The version is turned down for what its spec says."""
        self._set(ended_by=ErrorType.INVALID_SPEC, cause=harmless(cause))
        self.phase(RolloutPhase.DEGRADED, f"{ErrorType.INVALID_SPEC}: {cause}", finished=True)

    def abort(self, ended_by: ErrorType, cause: str) -> None:
        """The version is given up: what it did is being undone from here on."""
        self._set(aborting=True, ended_by=ended_by, cause=harmless(cause), set_weight=0)
        self.phase(RolloutPhase.DEGRADED, f"{ended_by}: {self.abort_text(cause)}")

    def aborted(self) -> None:
        """What the version did is undone, as far as it could be."""
        status = self._status
        message = f"{status.ended_by}: {self.abort_text(status.cause)}{status.complaint}"
        self.phase(RolloutPhase.DEGRADED, message, finished=True)

    def abort_text(self, cause: str) -> str:
        """Argo's words for an abort (argo-rollouts, RolloutAbortedMessage)."""
        return f"Rollout aborted update to revision {self._status.revision}: {cause}"

    def phase(self, phase: RolloutPhase, message: str, *, finished: bool = False) -> None:
        """The release as a whole stands so."""
        self._set(phase=phase, message=harmless(message), finished_at=workflow.now() if finished else None)

    def show(self) -> None:
        """Bring live details and search attributes up to date; called by the run wherever it may write to history."""
        workflow.set_current_details(harmless(details(self._status)))
        now = (self._status.phase, self._status.actual_weight, self._status.revision)
        if now != self._attributes:
            self._attributes = now
            phase, weight, revision = now
            workflow.upsert_search_attributes(
                [SEARCH_PHASE.value_set(phase), SEARCH_WEIGHT.value_set(weight), SEARCH_REVISION.value_set(revision)]
            )


def _steps(texts: list[str], first: int) -> tuple[StepStatus, ...]:
    """The steps of a version at its beginning; those before the first one are not taken."""
    states = (StepState.SKIPPED if index < first else StepState.PENDING for index in range(len(texts)))
    return tuple(
        StepStatus(index=index, text=text, state=state)
        for index, (text, state) in enumerate(zip(texts, states, strict=True))
    )


def _asked_at(request: ReleaseRequest) -> datetime:
    """When a request that is accepted now was made first."""
    now = workflow.now()
    return now if request.asked_at is None else min(request.asked_at, now)
