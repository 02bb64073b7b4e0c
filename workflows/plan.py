"""Plan of a release, made before anything is written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from tidegate.analysis.compare.models import Weight, planned_weights
from tidegate.analysis.experiments import Subject, analysis_block
from tidegate.analysis.rules import for_full_traffic
from tidegate.analysis.spec import SpecError, build_run_spec
from tidegate.bluegreen.rollback import is_fast_rollback
from tidegate.bluegreen.stages import Stage, stage_text, stages
from tidegate.canary.weights import planned_shares, weight_at
from tidegate.contract import (
    ComparedVersions,
    DesiredState,
    Document,
    ExperimentSetState,
    Observation,
    Owner,
    ParsedRollout,
    ReleaseRequest,
    Routing,
)
from tidegate.manifests.bake import through_the_bake
from tidegate.manifests.kinds import ARGO_VERSION
from tidegate.manifests.rollout import BlueGreen, Canary
from tidegate.manifests.shares import percent_of
from tidegate.manifests.steps import CanaryStep, ExperimentStep, step_text
from tidegate.manifests.version_tag import VERSION_LABEL
from tidegate.manifests.version_tag import version_of as version_tag
from tidegate.rollouts.promotion import promotion_reason
from tidegate.rollouts.revisions import next_revision
from tidegate.rollouts.rollback import within_window
from tidegate.rollouts.template_hash import pod_template_hash
from workflows.handover import Handover, handover_of

FULL = 100  # percent
CHANGE = "tidegate.io/servicenow-change"  # annotation: `true` where each release has a change in ServiceNow
ADVANCE = "tidegate.io/advance"  # annotation: `when-proven` where a comparison may shorten timed pauses
WHEN_PROVEN = "when-proven"
NOTHING_TO_BAKE_BY = (
    "the bake has no metric: at 100 % stable has no traffic, and a comparison without the event errors has nothing to "
    "look at; name templates with thresholds in tidegate.io/bake-templates, or set tidegate.io/bake: 0s"
)
NOTHING_AFTER_PROMOTION = (
    "postPromotionAnalysis has no metric: after the switch stable has no traffic, and a comparison without the event "
    "errors has nothing to look at; name templates with thresholds"
)


@dataclass(frozen=True)
class BakePlan:
    """Duration of the bake at 100 %, and its analysis block."""

    duration: timedelta
    analysis: Document


@dataclass(frozen=True)
class Plan:
    """One version to release: the manifest, the cluster's state, and the decisions that follow from both."""

    request: ReleaseRequest
    manifest: ParsedRollout
    seen: Observation
    hash: str
    revision: int
    hold_limit: timedelta | None
    templates: tuple[Document, ...]
    requested_bake: BakePlan | None = None
    handover: Handover | None = None  # where another controller stood with this version, None where it starts here

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
            requested_bake=bake,
            handover=handover_of(request, seen, hash_, len(manifest.steps)),
        )

    @property
    def steps(self) -> tuple[CanaryStep, ...]:
        """The steps; the first revision of a Rollout has nothing to be compared with and takes none."""
        return () if self.is_first else self.manifest.steps

    @property
    def wants_change(self) -> bool:
        """True when its releases have a change in ServiceNow."""
        return self.manifest.annotations.get(CHANGE, "").strip().lower() == "true"

    @property
    def advances_when_proven(self) -> bool:
        """True when a timed pause ends as soon as the background analysis has proven enough at its weight."""
        return self.manifest.annotations.get(ADVANCE) == WHEN_PROVEN

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of a blue-green release; the first revision of a Rollout takes none."""
        strategy = self.manifest.strategy
        return stages(strategy) if isinstance(strategy, BlueGreen) and not self.is_first else ()

    @property
    def step_texts(self) -> list[str]:
        """One line for each step, in Argo's form, or for each stage."""
        strategy = self.manifest.strategy
        if isinstance(strategy, BlueGreen):
            return [stage_text(stage, strategy) for stage in self.stages]
        return [step_text(step) for step in self.steps]

    @property
    def is_first(self) -> bool:
        """True when no version of this Rollout was ever promoted."""
        return not self.seen.stable_hash

    @property
    def is_stable(self) -> bool:
        """True when this version is the promoted one already."""
        return self.seen.stable_hash == self.hash

    @property
    def desired(self) -> DesiredState:
        """The desired state at the start of the release."""
        return DesiredState(
            hash=self.hash,
            stable_hash=self.seen.stable_hash,
            index=None if self.last_step is None else self.first_step,
        )

    @property
    def last_step(self) -> int | None:
        """Number of steps, None where there are none."""
        return len(self.manifest.steps) or None

    @property
    def first_step(self) -> int:
        """Index of the first step that runs: past the last one for a first version and on the way back to stable."""
        if self.is_known_good:
            return len(self.manifest.steps)
        return self.handover.step if self.handover is not None else 0

    @property
    def is_known_good(self) -> bool:
        """True when no step is needed: a first version, or one that is stable or was promoted lately."""
        return self.is_first or self.is_stable or self.is_rollback or self.is_fast_rollback

    @property
    def bake(self) -> BakePlan | None:
        """The bake at 100 %, None where there is none."""
        return None if self.is_known_good else self.requested_bake

    @property
    def is_rollback(self) -> bool:
        """True when the version was promoted within the Rollout's `rollbackWindow`."""
        window = self.manifest.spec.rollback_window
        sets, stable = self.seen.replica_sets, self.seen.stable_hash
        return window is not None and within_window(sets, self.hash, stable, window.revisions)

    @property
    def is_fast_rollback(self) -> bool:
        """True when the version was promoted before the stable one, and its pods are still there (blue-green)."""
        seen = self.seen
        is_blue_green = isinstance(self.manifest.strategy, BlueGreen)
        return is_blue_green and is_fast_rollback(seen.replica_sets, self.hash, seen.stable_hash, seen.at)

    @property
    def old_pods_serve(self) -> bool:
        """True when pods of older versions get traffic for as long as they are there: nothing splits it."""
        return self.routing is None and isinstance(self.manifest.strategy, Canary)

    def promotion_reason(self, *, in_full: bool, skipped: bool) -> str:
        """The reason why this version becomes stable; `in_full` and `skipped` say what an operator left out."""
        return promotion_reason(
            steps=len(self.steps) if isinstance(self.manifest.strategy, Canary) else None,
            is_first=self.is_first,
            is_stable=self.is_stable,
            in_full=in_full,
            skipped=skipped,
            in_window=self.is_rollback,
            is_fast=self.is_fast_rollback,
        )

    def exposes_fully(self, index: int, before: int) -> bool:
        """True when a step gives this version all of the traffic, and the one taken before it did not."""
        if self.is_first or self.is_stable:
            return False
        return self.weight_at(index) >= FULL and self.weight_at(before) < FULL

    def is_last_weight(self, index: int) -> bool:
        """True when all of the traffic follows the weight at a step."""
        weight = self.weight_at(index)
        later = (self.weight_at(number) for number in range(index + 1, len(self.steps) + 1))
        return 0 < weight < FULL and next((other for other in later if other != weight), FULL) >= FULL

    @property
    def planned_weights(self) -> tuple[Weight, ...]:
        """The weights above 0 and below 100 % that the steps take, in their order."""
        return planned_weights(planned_shares(self.steps, self.manifest.max_weight))

    @property
    def versions(self) -> ComparedVersions:
        """How sources of metrics tell this version from the stable one."""
        tags = {each.hash: each.version_tag for each in self.seen.replica_sets}
        return ComparedVersions(
            rollout=self.request.name,
            canary=self.hash,
            stable=self.seen.stable_hash,
            canary_version=version_tag(self.request.rollout["spec"]["template"]),
            stable_version=tags.get(self.seen.stable_hash, ""),
        )

    @property
    def gives_everything(self) -> bool:
        """True when the last step gives this version all of the traffic."""
        return bool(self.steps) and self.weight_at(len(self.steps) - 1) >= FULL

    def weight_at(self, index: int) -> int:
        """Percent of the traffic at a step."""
        whole = self.manifest.max_weight
        return FULL if index >= len(self.steps) else percent_of(weight_at(self.steps, index), whole)

    @property
    def replica_set(self) -> str:
        """Name of the version's ReplicaSet."""
        return f"{self.request.name}-{self.hash}"

    @property
    def replicas(self) -> int:
        """`spec.replicas`."""
        return self.manifest.spec.wanted_replicas()

    @property
    def routing(self) -> Routing | None:
        """Routing of the Rollout, None without a router."""
        return self.manifest.routing

    @property
    def active_service(self) -> str:
        """The Service that gives a version of blue-green all of the traffic; empty with another strategy."""
        strategy = self.manifest.strategy
        return strategy.active_service if isinstance(strategy, BlueGreen) else ""

    @property
    def background(self) -> Document | None:
        """The analysis beside the steps, as in the manifest."""
        return background_of(self.request) if self.steps else None

    @property
    def background_from(self) -> int:
        """Index of the step at which the background analysis starts, or starts again after another controller's."""
        strategy = self.manifest.strategy
        analysis = strategy.analysis if isinstance(strategy, Canary) else None
        return max(self.first_step, analysis.starting_step or 0 if analysis else 0)

    @property
    def owner_uid(self) -> str:
        """UID of the Rollout object, empty when there is none."""
        return str(((self.seen.rollout or {}).get("metadata") or {}).get("uid", ""))

    @property
    def owner(self) -> Owner | None:
        """The Rollout object as the owner of objects that the release creates; None when there is none."""
        if not self.owner_uid:
            return None
        return Owner(api_version=ARGO_VERSION, kind="Rollout", name=self.request.name, uid=self.owner_uid)

    def pause_remaining(self, index: int, now: datetime) -> int | None:
        """Seconds that the pause of a step still lasts, None for one that an operator ends."""
        pause = self.steps[index].pause
        seconds = pause.seconds() if pause is not None else None
        if (
            seconds is None
            or self.handover is None
            or self.handover.paused_since is None
            or index != self.handover.step
        ):
            return seconds
        return min(seconds, max(0, seconds - int((now - self.handover.paused_since).total_seconds())))

    def step_document(self, index: int) -> Document:
        """A step as in the manifest."""
        step: Document = self.request.rollout["spec"]["strategy"]["canary"]["steps"][index]
        return step

    def stage_document(self, stage: Stage) -> Document:
        """The analysis of a stage as in the manifest."""
        analysis: Document = self.request.rollout["spec"]["strategy"]["blueGreen"][stage]
        return analysis

    @property
    def gates(self) -> Iterator[tuple[str, Document]]:
        """The analysis blocks of the release, by what people call them."""
        if self.background is not None:
            yield "background analysis", self.background
        for index in range(len(self.steps)):
            if (analysis := self.step_document(index).get("analysis")) is not None:
                yield f"step {index + 1}", analysis
        for stage in self.stages:
            if stage in (Stage.PRE_PROMOTION, Stage.POST_PROMOTION):
                yield stage, self.stage_document(stage)

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
        """The AnalysisRun spec of the bake, which ends with that. Raises SpecError without any metric."""
        return through_the_bake(self._at_full_traffic(analysis, NOTHING_TO_BAKE_BY))

    def promoted_spec(self, analysis: Document) -> Document:
        """The AnalysisRun spec after a blue-green promotion. Raises SpecError without any metric."""
        return self._at_full_traffic(analysis, NOTHING_AFTER_PROMOTION)

    def _at_full_traffic(self, analysis: Document, why_nothing: str) -> Document:
        spec = for_full_traffic(self.analysis_spec(analysis))
        if not spec["metrics"]:
            raise SpecError(why_nothing)
        return spec

    def experiment_versions(self, index: int, sets: Iterable[ExperimentSetState]) -> ComparedVersions | None:
        """How sources of metrics tell the templates of an experiment apart, None where no two can be compared.

        `sets` are the ReplicaSets of its templates. What stable did in the hour before is asked of the version itself.
        """
        pair, versions = (self.steps[index].experiment or ExperimentStep()).compared(), self.versions
        if pair is None:
            return None
        prefix = f"{self.request.name}-"
        names = {each.template: each.replica_set.removeprefix(prefix) for each in sets}
        stable, canary = pair
        return ComparedVersions(
            rollout=versions.rollout,
            canary=names.get(canary.name, ""),
            stable=names.get(stable.name, ""),
            canary_version=canary.metadata.labels.get(VERSION_LABEL) or versions.canary_version,
            stable_version=stable.metadata.labels.get(VERSION_LABEL) or versions.stable_version,
            hour=versions.stable,
            hour_version=versions.stable_version,
        )

    def experiment_analyses(self, index: int, subjects: Mapping[str, Subject]) -> dict[str, Document]:
        """Analysis blocks of an experiment step, by their names in the step. Raises SpecError.

        `subjects` are the ReplicaSets of its templates, by template name.
        """
        step = self.steps[index].experiment or ExperimentStep()
        return {analysis.name: analysis_block(step, analysis, subjects) for analysis in step.analyses}

    def analysis_names(self, step: int | str | None) -> Iterator[str]:
        """Argo's names of an analysis run, in order: `<rollout>-<hash>-<revision>[-<step>][.<attempt>]`.

        For the bake `<step>` is its name, for a gate of blue-green `pre` or `post`. The attempts of a retried release
        are counted on.
        """
        where = "" if step is None else f"-{step}"
        first = f"{self.request.name}-{self.hash}-{self.revision}{where}"
        names = (f"{first}.{number}" if number else first for number in count())
        return (name for name in names if name not in self.seen.analysis_runs)


def background_of(request: ReleaseRequest) -> Document | None:
    """The background analysis of a manifest as a document, which is what an AnalysisRun spec is built from."""
    analysis: Document | None = (request.rollout["spec"]["strategy"].get("canary") or {}).get("analysis")
    return analysis


def _key(template: Document) -> tuple[str, str]:
    return str(template.get("kind")), str((template.get("metadata") or {}).get("name"))
