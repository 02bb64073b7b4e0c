"""template_merge, arg_substitution, rollout_args, metric_validation: how the spec of a run comes about."""

from __future__ import annotations

from typing import Any

from tests.cases.family import Answer, Family, Input
from tidegate.analysis.arguments import SpecError, fill_text, substitute
from tidegate.analysis.rollout_args import rollout_value
from tidegate.analysis.spec import merge_templates
from tidegate.analysis.validation import check_metrics
from tidegate.manifests.analysis_template import AnalysisTemplate, Metric, RolloutAnalysis


def template_merge(given: Input) -> Answer:
    templates = [
        AnalysisTemplate.model_validate(template | {"kind": kind})
        for kind, found in (
            ("AnalysisTemplate", given["templates"]),
            ("ClusterAnalysisTemplate", given["clusterTemplates"]),
        )
        for template in found or []
    ]
    rules = {key: given[key] for key in ("dryRun", "measurementRetention") if key in given}
    try:
        return {"spec": merge_templates(templates, given["args"] or [], RolloutAnalysis.model_validate(rules))}
    except SpecError as error:
        return {"error": str(error)}


def arg_substitution(given: Input) -> Answer:
    try:
        if "template" in given:
            return {"value": _text(given["template"], given["args"])}
        return {"metric": substitute(given["metric"], given["args"])}
    except SpecError as error:
        return {"error": str(error)}


def _text(template: str, arguments: list[dict[str, Any]]) -> str:
    """A text by itself is the value of an experiment's argument; any other is part of a metric."""
    if all("value" in each for each in arguments):
        return fill_text(template, {f"args.{each['name']}": each["value"] for each in arguments})
    return str(substitute({"query": template}, arguments)["query"])


def rollout_args(given: Input) -> Answer:
    def value(argument: dict[str, Any]) -> str:
        return rollout_value(argument, given["rollout"], stable_hash="stablehash", latest_hash="newhash")

    try:
        return {"args": {argument["name"]: value(argument) for argument in given["args"]}}
    except SpecError as error:
        return {"error": str(error)}


def metric_validation(given: Input) -> Answer:
    try:
        check_metrics([Metric.model_validate(metric) for metric in given["metrics"]])
    except SpecError as error:
        return {"valid": False, "error": str(error)}
    return {"valid": True}


FAMILIES = (
    Family("template_merge", template_merge),
    Family("arg_substitution", arg_substitution),
    Family("rollout_args", rollout_args),
    Family("metric_validation", metric_validation),
)
