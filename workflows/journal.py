"""What a release knows of itself: steps, weights, waits, analyses, events; shown by the query and in the Temporal UI.

The journal decides nothing. The run tells it what happens; it keeps the query's answer, the live details, the search
attributes and the Rollout's `.status` in step with that.
"""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import AnalysisStatus
    from tidegate.canary.restarts import moment
    from tidegate.canary.version import Version, version_of
    from tidegate.contract import (
        SEARCH_PHASE,
        SEARCH_REVISION,
        SEARCH_WEIGHT,
        Account,
        AnalysisRef,
        CompensationStatus,
        Document,
        FollowedUp,
        Place,
        Reconciled,
        ReleaseRequest,
        ReleaseStatus,
        ReplicaCounts,
        ReplicaSetState,
        RolloutObject,
        StepStatus,
        TrafficState,
        WeightStatus,
    )
    from tidegate.manifests.plain_text import harmless
    from tidegate.story import details, rollout_status
    from workflows.accounts import account_of
    from workflows.notes import Notes
    from workflows.refusals import PASSES, Refusals
    from workflows.status_page import StatusPage

MAX_REQUESTS = 20
A_PERSON = "a person: tidegate promote, or tidegate abort"


class Journal(Notes):
    """Mutable notes of one release; `status()` is the only way to read them from outside the run."""

    def __init__(self) -> None:
        super().__init__()
        self._current: ReleaseRequest | None = None
        self._attributes: tuple[str, int, int] | None = None
        self.traffic: TrafficState | None = None
        self.is_late = False
        self.abort_cause = ""
        self.fights = 0  # passes that had to put right what somebody else had written
        self.meddler = ""
        self._looked_at: Version | None = None
        self._next = ""  # id of the update that asked for the newer version
        self._refusals = Refusals()

    def status(self) -> ReleaseStatus:
        """Answer of the `status` query."""
        return self._status.model_copy(update={"object": self.page.object})

    def account(self) -> Account:
        """What the next pass is to bring out."""
        status, message = self._unwritten(), rollout_status(self._status)["message"]
        return Account(
            status=status,
            message=message,
            late=self.is_late,
            abort_cause=self.abort_cause,
            tell=self.news.tell(),
            failing=self._refusals.causes(PASSES),
        )

    def _unwritten(self) -> Document:
        """Fields of the Rollout's `.status`, as Argo names them, that do not stand there yet."""
        return self.page.unwritten(rollout_status(self.status()))

    @property
    def has_news(self) -> bool:
        """Whether there is something that the Rollout object does not say yet."""
        return bool(self._unwritten()) or bool(self.news)

    # ---------------------------------------------------------------------------------------------------------- begin

    def asked_by(self, request: ReleaseRequest) -> RolloutObject:
        """A version is looked at that an object may have asked for; it need not be sound, nor the object be there."""
        asked = RolloutObject.of(request.resolved().rollout)
        self._looked_at = asked.asks_for
        self._set(versions=self._status.versions + 1, requests=(self._next,) if self._next else ())
        self._next = ""
        if asked.uid:
            self.page = StatusPage(asked, before=self.page)
        return asked

    def begin(
        self, request: ReleaseRequest, place: Place, steps: list[str], warnings: tuple[str, ...], live: Document | None
    ) -> None:
        """A version was taken on, the first of this run or a newer one: its steps start over.

        `live` is the Rollout object as it stands in the cluster, None when there is none.
        """
        self._current = request
        self._restart_at = moment(request.rollout["spec"].get("restartAt"))
        if live is not None:
            self._set(restarted_at=moment((live.get("status") or {}).get("restartedAt")))
            seen = RolloutObject.of(request.rollout).seen_as(RolloutObject.of(live))
            self.page = StatusPage(seen, before=self.page)
        self._set(
            namespace=request.namespace,
            name=request.name,
            cluster=request.cluster,
            phase="Progressing",
            message="",
            desired_hash=place.hash,
            steps=tuple(StepStatus(index=index, text=text) for index, text in enumerate(steps)),
            step_hash=version_of(request.rollout).step_hash,
            step_index=place.index,
            promoted_full=False,
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

    def asked_next(self, update: str) -> None:
        """A newer version was asked for by the update of that id."""
        self._next = update

    def asked_again(self, request: ReleaseRequest, update: str) -> None:
        """The version under way was asked for once more; what else changed is told, as it does not count yet."""
        others = [each for each in self._status.requests if each != update]
        self._set(requests=(*others, update)[-MAX_REQUESTS:])
        asked, known = RolloutObject.of(request.rollout), self.page.object
        if known is not None and known.uid == asked.uid:
            self.page.object = known.asked_again(asked)
        spec, current = request.rollout.get("spec"), self._current.rollout.get("spec") if self._current else None
        if isinstance(spec, dict) and isinstance(current, dict) and spec != current:
            self._restart_at = moment(spec.get("restartAt")) or self._restart_at
            names = {*spec, *current} - {"restartAt"}
            if changed := sorted(name for name in names if spec.get(name) != current.get(name)):
                fields = ", ".join(f"spec.{name}" for name in changed)
                self.event("RolloutUpdated", f"changed beside template and steps, for the next release: {fields}")

    def revision(self, number: int, stable_hash: str) -> None:
        """The release got its number."""
        self._set(revision=number, stable_hash=stable_hash)

    def asks_for(self, weight: int) -> None:
        """So many percent of the traffic are to go to the version."""
        self._set(set_weight=weight)

    def stable(self, hash_: str) -> None:
        """A revision was fully promoted."""
        self._set(stable_hash=hash_)

    # ------------------------------------------------------------------------------------------------------ the world

    def seen(self, seen: Reconciled, account: Account) -> None:
        """What a pass did, and what stands after it; `account` is what it was to bring out."""
        if seen.picture:
            self.replica_sets(seen.replica_sets, seen.replicas)
        self._add_events(*seen.events)
        if seen.told and account.tell is not None:
            self.news.was_told(account.tell)
        self.fights += bool(seen.foreign)
        for edit in seen.foreign:
            who = f" by {edit.manager}" if edit.manager else ""
            self.meddler = edit.manager or "somebody"
            self.event("ForeignWeights", f"{edit.virtual_service} {edit.route}: {edit.what}{who}", warning=True)
        if seen.traffic is not None:
            self.routed(seen.traffic, f"step {self._status.step_index}")
        self.page.took_away(seen.flags_taken)
        if seen.published:
            self.page.wrote(account.status, seen.object)

    def failing_since(self, of: str = PASSES) -> datetime | None:
        """Since when the cluster refuses that work, None while it does not."""
        return self._refusals.since(of)

    def refusals(self, of: str) -> tuple[str, ...]:
        """What the cluster refuses of that work, in its words."""
        return self._refusals.causes(of)

    def refused(self, what: str, of: str = PASSES) -> None:
        """The cluster refuses something, in its own words; empty: it does no longer. Each cause is told once."""
        is_news = self._refusals.note(what, of)
        if self._refusals.failing != self._status.failing:
            self._set(failing=self._refusals.failing)
        if is_news:
            self.event("ReconciliationError", what, warning=True)

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
            self.phase("Progressing", "")

    def late(self, message: str) -> None:
        """The progress deadline passed; without progressDeadlineAbort the release goes on trying, as in Argo."""
        self.is_late = True
        self.phase("Degraded", f"ProgressDeadlineExceeded: {message}")
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

    def said_by(self, reference: AnalysisRef) -> AnalysisStatus:
        """The newest word of an analysis run."""
        known = {each.workflow_id: each.status for each in self._status.analyses}
        return known.get(reference.workflow_id, reference.status)

    def measured(self, said: AnalysisStatus) -> None:
        """An analysis run sent its verdicts while it goes on."""
        for reference in self._status.analyses:
            if reference.name == said.name and not reference.status.phase.completed:
                self.analysis(reference.model_copy(update={"status": said}))

    def compensation(self, name: str, state: str, detail: str = "") -> None:
        """Something that follows an abort was begun, done or given up."""
        rows = {row.name: row for row in self._status.compensations}
        rows[name] = CompensationStatus(name=name, state=state, detail=harmless(detail), at=workflow.now())
        self._set(compensations=tuple(rows.values()))

    def followed_up(self, told: FollowedUp) -> None:
        """What follows a decision ended so; a compensation that ended before is not changed any more.

        Raises ValidationError for an answer that is not that of the effect.
        """
        state = next((row.state for row in self._status.compensations if row.name == told.name), "")
        if state not in ("", "running"):
            return
        incident, event = account_of(told)
        if incident is not None:
            self._set(incident=incident)
        if state:
            self.compensation(told.name, told.state, told.message)
        if event is not None:
            self.event(event.reason, event.message, warning=event.warning)

    def complaint(self) -> str:
        """`; compensation failed: <which>` when a person is needed, and what is not done yet; otherwise nothing."""
        named = {"failed": "compensation failed", "running": "not done yet"}
        rows = self._status.compensations
        lists = {text: ", ".join(row.name for row in rows if row.state == state) for state, text in named.items()}
        return "".join(f"; {text}: {names}" for text, names in lists.items() if names)

    def phase(self, phase: str, message: str, *, finished: bool = False) -> None:
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
