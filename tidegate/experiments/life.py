"""The next status of an Experiment, from the one before and what is there now.

Source: argo-rollouts, experiments. Where Argo's outcome is an accident of its passes, the laws decide: pods stay until
the outcome is known, and each analysis that has started gives its verdict (law 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Final

from tidegate.analysis.experiments import outcome
from tidegate.analysis.status import Phase
from tidegate.experiments.conditions import conditions
from tidegate.experiments.status import ExperimentStatus, RunStatus, TemplateCode, TemplateStatus
from tidegate.manifests.experiment import ExperimentPods, ExperimentSpec
from tidegate.rollouts.experiment_sets import ExperimentSet

REQUIRED_COMPLETED: Final = "Required AnalysisRuns completed"
_PHASES: Final = {TemplateCode.FAILED: Phase.FAILED, TemplateCode.ERROR: Phase.ERROR}


class Verdicts(Enum):
    """Request to the open analysis runs."""

    GO_ON = auto()
    SETTLE = auto()  # give a verdict, after another reading of metrics without one
    TERMINATE = auto()  # give a verdict of what was measured


@dataclass(frozen=True)
class Observed:
    """An experiment at one moment: its ReplicaSets, its analysis runs, and what the cluster has refused.

    `refused` are messages by template for what is tried again, `impossible` for what is not. `terminating` says that
    an operator ended the experiment.
    """

    now: datetime
    sets: tuple[ExperimentSet, ...] = ()
    runs: tuple[RunStatus, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    impossible: Mapping[str, str] = field(default_factory=dict)
    terminating: bool = False

    def of(self, template: str) -> ExperimentSet | None:
        """The ReplicaSet of a template."""
        return next((each for each in self.sets if each.template == template), None)


@dataclass(frozen=True)
class Next:
    """A status, and what open runs are to do for it."""

    status: ExperimentStatus
    verdicts: Verdicts = Verdicts.GO_ON


def advance(name: str, spec: ExperimentSpec, before: ExperimentStatus, observed: Observed) -> Next:
    """The status that follows `before`; `name` is the experiment's, for its conditions. An outcome never changes."""
    templates = tuple(_template(spec, each, before.template(each.name), observed) for each in spec.templates)
    after = before.model_copy(update={"template_statuses": templates, "analysis_runs": _runs(spec, observed)})
    verdicts = Verdicts.TERMINATE if before.is_over else Verdicts.GO_ON
    if not before.is_over:
        if before.available_at is None and all(each.status is TemplateCode.RUNNING for each in templates):
            after = after.model_copy(update={"available_at": observed.now})
        phase, message, verdicts = _outcome(spec, after, observed)
        after = after.model_copy(update={"phase": phase, "message": message})
        if phase.completed:
            after = after.model_copy(update={"template_statuses": tuple(map(_ended, templates))})
            verdicts = Verdicts.TERMINATE
    written = conditions(name, before, after, is_running=_is_running(spec, after, observed.now), now=observed.now)
    return Next(after.model_copy(update={"conditions": written}), verdicts)


def due_at(spec: ExperimentSpec, status: ExperimentStatus, now: datetime) -> datetime | None:
    """The next moment after `now` at which time alone changes the status, None where there is none."""
    if status.is_over:
        return None
    late = [
        each.last_transition_time + spec.progress_deadline()
        for each in status.template_statuses
        if each.status is TemplateCode.PROGRESSING and each.last_transition_time is not None
    ]
    return min((each for each in (*late, ends_at(spec, status)) if each is not None and each > now), default=None)


def ends_at(spec: ExperimentSpec, status: ExperimentStatus) -> datetime | None:
    """The end of the duration, None while it has not begun or where there is none."""
    lasts = spec.lasts()
    return status.available_at + lasts if status.available_at is not None and lasts is not None else None


def _template(
    spec: ExperimentSpec, template: ExperimentPods, before: TemplateStatus | None, observed: Observed
) -> TemplateStatus:
    one, now = observed.of(template.name), observed.now
    known = before or TemplateStatus(name=template.name)
    found = known.counting(one)
    moved = found.counts != known.counts or known.last_transition_time is None
    if known.status is not None and known.status.completed:
        return found.model_copy(update={"last_transition_time": now}) if moved else found
    if template.name in observed.impossible:
        code, message = TemplateCode.ERROR, observed.impossible[template.name]
    elif _is_complete(template, one) and template.name not in observed.refused:
        code, message = TemplateCode.RUNNING, ""
    else:
        # Pods that are missing again, or more that are asked for, have as long as the first ones.
        moved = moved or known.status is TemplateCode.RUNNING
        code, message = TemplateCode.PROGRESSING, observed.refused.get(template.name, one.no_pods if one else "")
    since = now if moved else known.last_transition_time
    if code is TemplateCode.PROGRESSING and since is not None and now >= since + spec.progress_deadline():
        seconds = round(spec.progress_deadline().total_seconds())
        why = f": {message}" if message else ""
        code = TemplateCode.FAILED
        message = f"Template '{template.name}' exceeded its progressDeadlineSeconds ({seconds}){why}"
    return found.model_copy(update={"status": code, "message": message, "last_transition_time": since})


def _is_complete(template: ExperimentPods, one: ExperimentSet | None) -> bool:
    if one is None or one.scale_down_at is not None:
        return False
    return one.desired == template.wanted_replicas() == one.available


def _runs(spec: ExperimentSpec, observed: Observed) -> tuple[RunStatus, ...]:
    """The runs of the analyses in their order; one that has not started has its name alone."""
    known = {each.name: each for each in observed.runs}
    return tuple(known.get(each.name) or RunStatus(name=each.name) for each in spec.analyses)


def _outcome(spec: ExperimentSpec, status: ExperimentStatus, observed: Observed) -> tuple[Phase, str, Verdicts]:
    """Phase, message, and what open runs are to do before there is an outcome."""
    codes = [each.status for each in status.template_statuses]
    for code, phase in _PHASES.items():
        if code in codes:
            return phase, status.template_statuses[codes.index(code)].message, Verdicts.TERMINATE
    found = {each.name: each.phase for each in status.analysis_runs if each.phase is not None and not each.is_open}
    is_open = any(each.is_open for each in status.analysis_runs)
    running = all(code is TemplateCode.RUNNING for code in codes)
    ends = ends_at(spec, status)
    phase = outcome(spec, found, lasted=running and ends is not None and observed.now >= ends)
    if phase.completed and phase is not Phase.SUCCESSFUL:
        return phase, next(each.message for each in status.analysis_runs if each.phase is phase), Verdicts.TERMINATE
    waiting = Phase.RUNNING if running else Phase.PENDING
    if observed.terminating:
        return (waiting, "", Verdicts.TERMINATE) if is_open else (Phase.SUCCESSFUL, "", Verdicts.TERMINATE)
    if not phase.completed:
        return waiting, "", Verdicts.GO_ON
    if any(each.required_for_completion for each in spec.analyses):
        return phase, REQUIRED_COMPLETED, Verdicts.TERMINATE
    return (waiting, "", Verdicts.SETTLE) if is_open else (phase, "", Verdicts.TERMINATE)


def _ended(template: TemplateStatus) -> TemplateStatus:
    """With the experiment every template ends well that did not end badly."""
    if template.status is not None and template.status.completed:
        return template
    return template.model_copy(update={"status": TemplateCode.SUCCESSFUL, "message": ""})


def _is_running(spec: ExperimentSpec, status: ExperimentStatus, now: datetime) -> bool:
    ends = ends_at(spec, status)
    return not status.is_over and status.available_at is not None and (ends is None or now < ends)
