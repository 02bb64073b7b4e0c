"""Templates and a Rollout's analysis block, merged into the spec of one AnalysisRun.

Source: argo-rollouts, templates and arguments of analysis runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tidegate.analysis.arguments import Argument, SpecError, merge_arguments
from tidegate.analysis.rollout_args import rollout_value
from tidegate.analysis.rules import RunRules
from tidegate.manifests.analysis_template import AnalysisTemplate, AnalysisTemplateSpec, RolloutAnalysis
from tidegate.manifests.decode import decode_object
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import ManifestError
from tidegate.manifests.templates import template_key, used_templates

__all__ = ["SpecError", "build_run_spec", "merge_templates"]

_RULES: Final = {"dryRun": "Dry-Run metric rules", "measurementRetention": "Measurement Retention metric rules"}


def build_run_spec(
    *,
    analysis: Mapping[str, Any],
    templates: Sequence[Mapping[str, Any]],
    rollout: Mapping[str, Any],
    stable_hash: str,
    latest_hash: str,
) -> dict[str, Any]:
    """The AnalysisRun spec of an analysis block (`{templates, args, dryRun, measurementRetention}`).

    `templates` are the AnalysisTemplates and ClusterAnalysisTemplates that may be referred to. Arguments have their
    values, except those from Secrets, which stay references; a run puts them into its metrics when it starts. Raises
    SpecError, with Argo's text where it has one, for a spec that no run could carry out.
    """
    try:
        wanted = decode_object(RolloutAnalysis, _only_shared(analysis), "analysis")
        known = {template_key(loaded.model): loaded.model for loaded in from_objects(templates).templates}
        used = used_templates(wanted.templates, known)
        if used.missing:
            raise SpecError(f"{used.missing[0].kind} '{used.missing[0].name}' not found")
        arguments = [
            {
                "name": argument.name,
                "value": rollout_value(argument.to_wire(), rollout, stable_hash=stable_hash, latest_hash=latest_hash),
            }
            for argument in wanted.args
        ]
        spec = merge_templates([known[key] for key in used.found], arguments, wanted)
        RunRules.of(spec)
    except ManifestError as error:
        raise SpecError(str(error)) from error
    return spec


def merge_templates(
    templates: Sequence[AnalysisTemplate], supplied: Sequence[Argument], analysis: RolloutAnalysis
) -> dict[str, Any]:
    """One AnalysisRun spec of all templates: namespaced ones first, rules of the Rollout before those of templates.

    Raises SpecError for two metrics or two rules of one name, and for arguments that contradict each other or that
    have no value.
    """
    specs = [template.spec for template in sorted(templates, key=lambda template: template.cluster_scope)]
    metrics = [metric.to_wire() for spec in specs for metric in spec.metrics]
    _refuse_twice("metrics", [str(metric.get("name")) for metric in metrics])
    arguments = [argument.to_wire() for spec in specs for argument in spec.args]
    merged: dict[str, Any] = {"metrics": metrics, "args": merge_arguments(arguments, supplied)}
    sources: list[RolloutAnalysis | AnalysisTemplateSpec] = [analysis, *specs]
    rules = {
        "dryRun": [rule.to_wire() for each in sources for rule in each.dry_run],
        "measurementRetention": [rule.to_wire() for each in sources for rule in each.measurement_retention],
    }
    for field, what in _RULES.items():
        _refuse_twice(what, [str(rule.get("metricName")) for rule in rules[field]])
    return merged | {field: found for field, found in rules.items() if found}


def _only_shared(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """The block without what only a background analysis has."""
    return {field: value for field, value in analysis.items() if field != "startingStep"}


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SpecError(f"two {what} have the same name '{name}'")
        seen.add(name)
