"""Events about an Experiment, from one status to the next. Source: argo-rollouts, experiments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tidegate.analysis.status import Phase
from tidegate.experiments.status import ExperimentStatus, TemplateCode

_BAD_TEMPLATE: Final = (TemplateCode.FAILED, TemplateCode.ERROR)
_BAD_RUN: Final = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)


class Transition(NamedTuple):
    """One event: reason and message are Argo's."""

    reason: str
    message: str
    warning: bool


def transitions(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[Transition]:
    """Yield what changed of templates and of analysis runs."""
    for each in after.template_statuses:
        known = before.template(each.name)
        was = known.status if known is not None else None
        if each.status is not None and each.status is not was:
            why = f": {each.message}" if each.message else ""
            text = f"Template '{each.name}' transitioned from {was or ''} -> {each.status}{why}"
            yield Transition(f"Template{each.status}", text, each.status in _BAD_TEMPLATE)
    phases = {run.name: run.phase for run in before.analysis_runs}
    for run in after.analysis_runs:
        if run.phase is not None and run.phase is not phases.get(run.name):
            why = f": {run.message}" if run.message else ""
            text = f"AnalysisRun '{run.name}' transitioned from {phases.get(run.name) or ''} -> {run.phase}{why}"
            yield Transition(f"AnalysisRun{run.phase}", text, run.phase in _BAD_RUN)
