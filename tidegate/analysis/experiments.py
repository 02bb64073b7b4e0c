"""The analyses of an experiment: what they are given, and what their verdicts come to.

Source of the rules: argo-rollouts, experiments.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tidegate.analysis.arguments import fill_text
from tidegate.analysis.status import Phase
from tidegate.manifests.experiment import AnyExperiment, ExperimentSpec
from tidegate.manifests.steps import ExperimentAnalysis

_WORST_FIRST: Final = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)


class Subject(NamedTuple):
    """Arguments of analyses about a template: name of its ReplicaSet, and the hash that its pods are labelled with."""

    replica_set: str
    hash: str


def outcome(experiment: AnyExperiment, verdicts: Mapping[str, Phase], *, lasted: bool) -> Phase:
    """Phase of an experiment: Running, or how it ended. `verdicts` are those of the analyses that have ended.

    One bad verdict ends it, and the worst counts. It succeeds when all analyses that are required did, or, where none
    is, when it has `lasted` for its duration; without either it goes on until it is ended.
    """
    for phase in _WORST_FIRST:
        if phase in verdicts.values():
            return phase
    required = [analysis.name for analysis in experiment.analyses if analysis.required_for_completion]
    done = all(verdicts.get(name) is Phase.SUCCESSFUL for name in required) if required else lasted
    return Phase.SUCCESSFUL if done else Phase.RUNNING


def analysis_block(
    experiment: AnyExperiment,
    analysis: ExperimentAnalysis,
    subjects: Mapping[str, Subject],
    times: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """One analysis as a block like that of an analysis step.

    `{{templates.NAME.podTemplateHash}}` and `{{templates.NAME.replicaset.name}}` in its arguments stand for the
    `subjects`, which are by the name of their template. `times` are other placeholders with their values. Raises
    SpecError for a placeholder that is none of these.
    """
    values = dict(times) | {
        f"templates.{name}.{field}": value
        for name, subject in subjects.items()
        for field, value in (("podTemplateHash", subject.hash), ("replicaset.name", subject.replica_set))
    }
    arguments = [argument.to_wire() for argument in analysis.args]
    for given, argument in zip(arguments, analysis.args, strict=True):
        if argument.value is not None:
            given["value"] = fill_text(argument.value, values)
    metadata = experiment.analysis_run_metadata
    retention = experiment.measurement_retention if isinstance(experiment, ExperimentSpec) else ()
    return {
        "templates": [analysis.reference().to_wire()],
        "args": arguments,
        "dryRun": [rule.to_wire() for rule in experiment.dry_run],
        **({"measurementRetention": [rule.to_wire() for rule in retention]} if retention else {}),
        "analysisRunMetadata": metadata.to_wire() if metadata else None,
    }
