"""State of the workflow of an Experiment object: spec, status, what is still to be written, what it waits for."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.arguments import SpecError
    from tidegate.analysis.experiments import Subject, analysis_block
    from tidegate.analysis.rules import has_comparison
    from tidegate.analysis.spec import build_run_spec
    from tidegate.analysis.status import Phase
    from tidegate.contract import (
        Document,
        Event,
        ExperimentPass,
        ExperimentReport,
        ExperimentRequest,
        ExperimentSeen,
    )
    from tidegate.contract.instances import INSTANCE_LABEL
    from tidegate.experiments.conditions import invalid, valid
    from tidegate.experiments.life import Observed, Verdicts, advance, due_at, ends_at
    from tidegate.experiments.moves import down_at, is_down, wanted_sets
    from tidegate.experiments.status import ExperimentStatus, TemplateCode
    from tidegate.experiments.transitions import transitions
    from tidegate.manifests.experiment import Experiment, ExperimentSpec
    from tidegate.manifests.steps import ExperimentAnalysis
    from tidegate.manifests.validation.experiment import validate_experiment
    from tidegate.report.timestamps import rfc3339
    from workflows.experiment_runs import ExperimentRuns


class ExperimentState:
    """The state of one experiment. `document` is the last valid spec, `verdicts` what open runs are to do."""

    def __init__(self, request: ExperimentRequest) -> None:
        self._request = request
        self._spec: ExperimentSpec | None = None
        self._invalid = ""
        self._status = ExperimentStatus()
        self._written: Document = {}
        self._is_known = False  # the object was looked at
        self._templates: dict[str, None] = {}
        self._events: list[Event] = []
        self._first = 0
        self._until: datetime | None = None
        self.runs = ExperimentRuns(request)
        self.document: Document = {}
        self.spec_digest = ""
        self.verdicts = Verdicts.GO_ON
        self.left = ""

    # ---------------------------------------------------------------------------------------------------- for a pass

    @property
    def templates(self) -> tuple[str, ...]:
        """Names that its templates have or had."""
        return tuple(self._templates)

    @property
    def up(self) -> bool:
        """True while its ReplicaSets are to have their pods."""
        return self._spec is not None and not self._status.is_over

    @property
    def wire(self) -> Document:
        """`.status` to be written, empty before the first look."""
        return self._status.to_wire() if self._is_known else {}

    @property
    def lacks_runs(self) -> bool:
        """True while an analysis has no run yet."""
        return self.up and self._spec is not None and any(not self.runs.has(each.name) for each in self._spec.analyses)

    @property
    def has_unpublished(self) -> bool:
        """True when the cluster lacks something of it."""
        return self.wire != self._written or bool(self._events) or bool(self.runs.unpublished)

    def events(self) -> tuple[tuple[Event, ...], int]:
        """Events that are still to be written, and the number of the first within the run."""
        return tuple(self._events) if self._is_known else (), self._first

    def published(self, written: ExperimentPass) -> None:
        """Note what a pass has written."""
        if written.status:
            self._written = written.status
            self._first += len(written.events)
            del self._events[: len(written.events)]
            self.runs.published(written.runs)

    # --------------------------------------------------------------------------------------------------- after a pass

    def take(self, seen: ExperimentSeen, *, terminating: bool) -> Phase | None:
        """Take what a pass has seen, and let the rules decide; returns a phase that is new."""
        if seen.spec is not None:
            self._read(seen.spec, seen.spec_digest)
        before = self._begin(seen)
        if self._spec is not None:
            observed = self._observed(seen, self._spec, terminating=terminating)
            following = advance(self._request.name, self._spec, before, observed)
            self._status, self.verdicts = following.status, following.verdicts
        self._status = invalid(self._status, self._invalid, workflow.now()) if self._invalid else valid(self._status)
        for change in transitions(before, self._status):
            self._events.append(Event(at=workflow.now(), **change._asdict()))
        return self._status.phase if self._status.phase is not before.phase else None

    def _begin(self, seen: ExperimentSeen) -> ExperimentStatus:
        """The status before: the object's own at the first look, none where it was taken away for another try."""
        if not self._is_known:
            self._is_known = True
            self._written = seen.status or {}
            self._status = ExperimentStatus.read(seen.status)
            self.runs.adopt(self._status.analysis_runs)
            self._templates |= {each.name: None for each in self._status.template_statuses}
        elif not seen.has_status and self._written and self._status.is_over and not self._has_open_runs:
            self._status = ExperimentStatus()
            self._written = {}
            self.runs.forget()
        return self._status

    def _read(self, spec: Document, digest: str) -> None:
        """Read a spec; one that is not valid is not carried out, and the one before goes on."""
        self.spec_digest = digest
        metadata = {"name": self._request.name}
        try:
            found = Experiment.model_validate({"metadata": metadata, "spec": spec})
            problems = [str(each.message) for each in validate_experiment(found)]
        except ValidationError as error:
            problems = [_first_problem(error)]
        self._invalid = problems[0] if problems else ""
        if not problems:
            self._spec, self.document = found.spec, spec
            self._templates |= {each.name: None for each in found.spec.templates}

    def _observed(self, seen: ExperimentSeen, spec: ExperimentSpec, *, terminating: bool) -> Observed:
        if self._status.available_at is None and seen.analysis_templates is not None:
            self._check_templates(spec, seen.analysis_templates)
        return Observed(
            now=workflow.now(),
            sets=seen.sets,
            runs=self.runs.rows,
            refused={each.template: each.message for each in seen.refused if not each.final},
            impossible={each.template: each.message for each in seen.refused if each.final},
            terminating=terminating or spec.terminate,
        )

    def _check_templates(self, spec: ExperimentSpec, found: tuple[Document, ...]) -> None:
        """Note the analyses whose templates are missing, before any pod is waited for."""
        there = {(each.get("kind") == "ClusterAnalysisTemplate", each["metadata"]["name"]) for each in found}
        for each in spec.analyses:
            if (each.cluster_scope, each.template_name) not in there and not self.runs.has(each.name):
                kind = "ClusterAnalysisTemplate" if each.cluster_scope else "AnalysisTemplate"
                why = f'{kind.lower()}.argoproj.io "{each.template_name}" not found'
                self.runs.error(each.name, f"{kind} verification failed for analysis '{each.name}': {why}")

    async def start_runs(self, seen: ExperimentSeen) -> None:
        """Start the runs of the analyses that have none, once all pods have been there."""
        spec, status = self._spec, self._status
        if spec is None or not self.up or status.available_at is None or seen.analysis_templates is None:
            return
        subjects = {each.template: Subject(each.name, each.hash) for each in seen.sets}
        times = {"experiment.availableAt": rfc3339(status.available_at)}
        if (ends := ends_at(spec, status)) is not None:
            times["experiment.finishedAt"] = rfc3339(ends)
        for analysis in spec.analyses:
            if not self.runs.has(analysis.name):
                await self._start_run(spec, analysis, subjects, times, seen)

    async def _start_run(
        self,
        spec: ExperimentSpec,
        analysis: ExperimentAnalysis,
        subjects: dict[str, Subject],
        times: dict[str, str],
        seen: ExperimentSeen,
    ) -> None:
        try:
            block = analysis_block(spec, analysis, subjects, times)
            wanted = build_run_spec(
                analysis=block, templates=seen.analysis_templates or (), rollout={}, stable_hash="", latest_hash=""
            )
            if has_comparison(wanted):
                raise SpecError("a comparison has nothing to compare: no router gives the templates shares of traffic")
        except SpecError as error:
            self.runs.error(analysis.name, f"Failed to create AnalysisRun for analysis '{analysis.name}': {error}")
            return
        instance = {name: value for name, value in seen.labels.items() if name == INSTANCE_LABEL}
        metadata = block.get("analysisRunMetadata") or {}
        await self.runs.start(analysis.name, wanted, {**metadata, "labels": instance | (metadata.get("labels") or {})})

    def until(self, seen: ExperimentSeen) -> datetime | None:
        """When time alone changes something, None where nothing but the cluster does."""
        if self._spec is None:
            return None
        wanted = wanted_sets(self._request.name, self._spec) if self.up else ()
        due = (due_at(self._spec, self._status, workflow.now()), down_at(wanted, seen.sets))
        self._until = min((each for each in due if each is not None), default=None)
        return self._until

    def is_done(self, seen: ExperimentSeen) -> bool:
        """True when the outcome is known and nothing of the experiment runs any more."""
        return self._status.is_over and is_down(seen.sets) and not self._has_open_runs

    @property
    def _has_open_runs(self) -> bool:
        return any(each.is_open for each in self.runs.rows)

    # ----------------------------------------------------------------------------------------------------- for people

    def report(self) -> ExperimentReport:
        """Answer of the `status` query."""
        request = self._request
        return ExperimentReport(
            cluster=request.cluster,
            namespace=request.namespace,
            name=request.name,
            uid=request.uid,
            status=self._status.to_wire(),
            waiting_for=self._waiting(),
            until=self._until,
            left=self.left,
        )

    def details(self) -> str:
        """Text for Temporal's page of the workflow."""
        phase = self._status.phase or "not started"
        why = f": {self._status.message}" if self._status.message else ""
        waiting = f"\n\nIt waits for {self._waiting()}." if self._waiting() else ""
        return f"**{phase}**{why}{waiting}"

    def _waiting(self) -> str:
        if self.left:
            return ""
        if self._spec is None:
            return f"a valid spec: {self._invalid}" if self._invalid else "a first look at the object"
        if self._status.is_over:
            return "its last pods to go"
        missing = [each.name for each in self._status.template_statuses if each.status is not TemplateCode.RUNNING]
        if missing:
            return f"the pods of {', '.join(missing)}"
        if any(each.required_for_completion for each in self._spec.analyses):
            return "its required analyses"
        if self._spec.duration:
            return "the end of its duration"
        return f"somebody to end it: tidegate terminate experiment {self._request.name}"


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"spec.{'.'.join(map(str, first['loc'][1:]))}: {first['msg'].removeprefix('Value error, ')}"
