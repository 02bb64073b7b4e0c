"""What a release is going to do, decided before anything is touched. Pure, apart from the types that it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from tidegate.analysis.experiments import Subject, analysis_block
from tidegate.analysis.spec import build_run_spec
from tidegate.canary.promotion import promotion_reason
from tidegate.canary.rollback import within_window
from tidegate.canary.template_hash import pod_template_hash
from tidegate.canary.weights import next_revision, weight_at
from tidegate.contract import DesiredState, Document, IstioRouting, Observation, Owner, ParsedRollout, ReleaseRequest
from tidegate.manifests.bake import through_the_bake
from tidegate.manifests.kinds import ARGO_VERSION
from tidegate.manifests.steps import CanaryStep, ExperimentStep, step_text
from workflows.handover import Handover, handover_of

FULL = 100  # percent
CHANGE = "tidegate.io/servicenow-change"  # annotation: `true` where each release has a change in ServiceNow
HOLD_LIMIT = "tidegate.io/hold-limit"  # annotation: how long a release waits for a person before it aborts


@dataclass(frozen=True)
class BakePlan:
    """How long a version is watched with all of the traffic, and the analysis block that says by what."""

    duration: timedelta
    analysis: Document


@dataclass(frozen=True)
class Plan:
    """One version on its way: the manifest, what stands in the cluster, and what follows from both."""

    request: ReleaseRequest
    manifest: ParsedRollout
    seen: Observation
    hash: str
    revision: int
    hold_limit: timedelta | None
    templates: tuple[Document, ...]
    asked_bake: BakePlan | None = None
    left: Handover | None = None  # where another controller stood with this version, None where it starts here

    @classmethod
    def of(
        cls,
        request: ReleaseRequest,
        manifest: ParsedRollout,
        seen: Observation,
        hold_limit: timedelta | None,
        bake: BakePlan | None = None,
    ) -> Plan:
        """Number the version, by the ReplicaSet that it has; templates that were given win over the cluster's."""
        hash_ = seen.adopted or pod_template_hash(request.rollout["spec"]["template"])
        existing = next((s.revision for s in seen.replica_sets if s.hash == hash_), None)
        given = {_key(template) for template in request.templates}
        return cls(
            request=request,
            manifest=manifest,
            seen=seen,
            hash=hash_,
            revision=next_revision([s.revision for s in seen.replica_sets], existing),
            hold_limit=hold_limit,
            templates=(*request.templates, *(t for t in seen.templates if _key(t) not in given)),
            asked_bake=bake,
            left=handover_of(request, seen, hash_, len(manifest.canary.steps)),
        )

    @property
    def steps(self) -> tuple[CanaryStep, ...]:
        """The steps; the first revision of a Rollout has nothing to be compared with and takes none."""
        return () if self.is_first else self.manifest.canary.steps

    @property
    def wants_change(self) -> bool:
        """Whether its releases have a change in ServiceNow."""
        return self.manifest.annotations.get(CHANGE, "").strip().lower() == "true"

    @property
    def step_texts(self) -> list[str]:
        """The steps in Argo's one-line form."""
        return [step_text(step) for step in self.steps]

    @property
    def is_first(self) -> bool:
        """Whether nothing of this Rollout was ever promoted."""
        return not self.seen.stable_hash

    @property
    def is_stable(self) -> bool:
        """Whether this version is the promoted one already."""
        return self.seen.stable_hash == self.hash

    @property
    def desired(self) -> DesiredState:
        """Where the release stands at its beginning."""
        return DesiredState(
            hash=self.hash,
            stable_hash=self.seen.stable_hash,
            index=None if self.last_step is None else self.first_step,
        )

    @property
    def last_step(self) -> int | None:
        """Number of steps, None where there are none."""
        return len(self.manifest.canary.steps) or None

    @property
    def first_step(self) -> int:
        """Index of the first step that is taken: none by a first version, nor on the way back to stable."""
        if self.is_known_good:
            return len(self.manifest.canary.steps)
        return self.left.step if self.left is not None else 0

    @property
    def is_known_good(self) -> bool:
        """Whether nothing is to be proved: a first version, the way back to stable, or to one promoted lately."""
        return self.is_first or self.is_stable or self.is_rollback

    @property
    def bake(self) -> BakePlan | None:
        """The watch at 100 %, None where there is none."""
        return None if self.is_known_good else self.asked_bake

    @property
    def is_rollback(self) -> bool:
        """Whether this goes back to a version that was promoted within the window that the Rollout gives."""
        window = self.manifest.spec.rollback_window
        sets, stable = self.seen.replica_sets, self.seen.stable_hash
        return window is not None and within_window(sets, self.hash, stable, window.revisions)

    def promotion_reason(self, *, in_full: bool) -> str:
        """Name why this version becomes the stable one; `in_full` says that a full promotion was asked for."""
        return promotion_reason(
            steps=len(self.steps),
            is_first=self.is_first,
            is_stable=self.is_stable,
            in_full=in_full,
            in_window=self.is_rollback,
        )

    def exposes_fully(self, index: int) -> bool:
        """Whether standing at a step gives this version all of the traffic, and the step before did not."""
        if self.is_first or self.is_stable:
            return False
        return self.weight_at(index) >= FULL and (index == 0 or self.weight_at(index - 1) < FULL)

    @property
    def gives_everything(self) -> bool:
        """Whether the last step gives this version all of the traffic: what follows asks for nothing more."""
        return bool(self.steps) and self.weight_at(len(self.steps) - 1) >= FULL

    def weight_at(self, index: int) -> int:
        """Percent of the traffic that standing at a step asks for."""
        return FULL if index >= len(self.steps) else weight_at(self.steps, index)

    @property
    def replica_set(self) -> str:
        """Name of the version's ReplicaSet."""
        return f"{self.request.name}-{self.hash}"

    @property
    def replicas(self) -> int:
        """`spec.replicas`."""
        return self.manifest.spec.wanted_replicas()

    @property
    def routing(self) -> IstioRouting | None:
        """Where the traffic is split, None where Istio does not split it."""
        return self.manifest.routing

    @property
    def background(self) -> Document | None:
        """The analysis beside the steps, as the manifest has it."""
        return background_of(self.request) if self.steps else None

    @property
    def background_from(self) -> int:
        """Index of the step at which the background analysis starts, or starts again after another controller's."""
        analysis = self.manifest.canary.analysis
        return max(self.first_step, analysis.starting_step or 0 if analysis else 0)

    @property
    def owner_uid(self) -> str:
        """UID of the Rollout object, empty when there is none."""
        return str(((self.seen.rollout or {}).get("metadata") or {}).get("uid", ""))

    @property
    def owner(self) -> Owner | None:
        """The Rollout object, which what the release creates goes with; None when there is none."""
        if not self.owner_uid:
            return None
        return Owner(api_version=ARGO_VERSION, kind="Rollout", name=self.request.name, uid=self.owner_uid)

    def pause_left(self, index: int, now: datetime) -> int | None:
        """Seconds that the pause of a step has to last from now on, None for one that a person ends."""
        pause = self.steps[index].pause
        seconds = pause.seconds() if pause is not None else None
        if seconds is None or self.left is None or self.left.paused_since is None or index != self.left.step:
            return seconds
        return min(seconds, max(0, seconds - int((now - self.left.paused_since).total_seconds())))

    def step_document(self, index: int) -> Document:
        """A step as the manifest has it."""
        step: Document = self.request.rollout["spec"]["strategy"]["canary"]["steps"][index]
        return step

    def analysis_spec(self, analysis: Document) -> Document:
        """The AnalysisRun spec of an analysis block: templates merged, arguments bound. Raises SpecError."""
        return build_run_spec(
            analysis=analysis,
            templates=self.templates,
            rollout=self.request.rollout,
            stable_hash=self.seen.stable_hash,
            latest_hash=self.hash,
        )

    def bake_spec(self, analysis: Document) -> Document:
        """The AnalysisRun spec of the bake, which ends with that. Raises SpecError."""
        return through_the_bake(self.analysis_spec(analysis))

    def experiment_analyses(self, index: int, subjects: Mapping[str, Subject]) -> dict[str, Document]:
        """The analysis blocks of an experiment step, by the name that it calls them by. Raises SpecError.

        `subjects` are what stands of its templates, by their names.
        """
        step = self.steps[index].experiment or ExperimentStep()
        return {analysis.name: analysis_block(step, analysis, subjects) for analysis in step.analyses}

    def analysis_names(self, step: int | str | None) -> Iterator[str]:
        """Argo's names of an analysis run, the first one first: `<rollout>-<hash>-<revision>[-<step>][.<attempt>]`.

        That of the bake has its name for the step. Attempts of a release that was retried are counted on.
        """
        where = "" if step is None else f"-{step}"
        first = f"{self.request.name}-{self.hash}-{self.revision}{where}"
        names = (f"{first}.{number}" if number else first for number in count())
        return (name for name in names if name not in self.seen.analysis_runs)


def background_of(request: ReleaseRequest) -> Document | None:
    """The background analysis of a manifest as a document, which is what an AnalysisRun spec is built from."""
    analysis: Document | None = request.rollout["spec"]["strategy"]["canary"].get("analysis")
    return analysis


def _key(template: Document) -> tuple[str, str]:
    return str(template.get("kind")), str((template.get("metadata") or {}).get("name"))
