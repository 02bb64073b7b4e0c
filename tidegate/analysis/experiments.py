"""The analyses of an experiment: what they are given, and what their verdicts come to.

Source of the rules: argo-rollouts, experiments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tidegate.analysis.arguments import fill_text
from tidegate.analysis.status import Phase
from tidegate.manifests.steps import ExperimentAnalysis, ExperimentStep

_WORST_FIRST: Final = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)


class Subject(NamedTuple):
    """Arguments of analyses about a template: name of its ReplicaSet, and the hash that its pods are labelled with."""

    replica_set: str
    hash: str


def outcome(step: ExperimentStep, verdicts: Mapping[str, Phase], *, lasted: bool) -> Phase:
    """Phase of an experiment: Running, or how it ended. `verdicts` are those of the analyses that have ended.

    One bad verdict ends it, and the worst counts. It succeeds when all analyses that are required did, or, where none
    is, when it has `lasted` for its duration; without either it goes on until it is ended.
    """
    for phase in _WORST_FIRST:
        if phase in verdicts.values():
            return phase
    required = [analysis.name for analysis in step.analyses if analysis.required_for_completion]
    done = all(verdicts.get(name) is Phase.SUCCESSFUL for name in required) if required else lasted
    return Phase.SUCCESSFUL if done else Phase.RUNNING


def analysis_block(
    step: ExperimentStep, analysis: ExperimentAnalysis, subjects: Mapping[str, Subject]
) -> dict[str, Any]:
    """One analysis as a block like that of an analysis step.

    `{{templates.NAME.podTemplateHash}}` and `{{templates.NAME.replicaset.name}}` in its arguments stand for the
    `subjects`, which are by the name of their template. Raises SpecError for a placeholder that is neither.
    """
    values = {
        f"templates.{name}.{field}": value
        for name, subject in subjects.items()
        for field, value in (("podTemplateHash", subject.hash), ("replicaset.name", subject.replica_set))
    }
    arguments = [argument.to_wire() for argument in analysis.args]
    for given, argument in zip(arguments, analysis.args, strict=True):
        if argument.value is not None:
            given["value"] = fill_text(argument.value, values)
    return {
        "templates": [analysis.reference().to_wire()],
        "args": arguments,
        "dryRun": [rule.to_wire() for rule in step.dry_run],
        "analysisRunMetadata": step.analysis_run_metadata.to_wire() if step.analysis_run_metadata else None,
    }
