"""Templates and a Rollout's analysis block, merged into the spec of one AnalysisRun. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate.analysis.arguments import SpecError, merge_arguments, rollout_value, substitute

__all__ = ["SpecError", "build_run_spec"]

_LISTS = {"dryRun": "Dry-Run metric rules", "measurementRetention": "Measurement Retention metric rules"}


def build_run_spec(
    *,
    analysis: Mapping[str, Any],
    templates: Sequence[Mapping[str, Any]],
    rollout: Mapping[str, Any],
    stable_hash: str,
    latest_hash: str,
) -> dict[str, Any]:
    """The AnalysisRun spec of an analysis block (`{templates, args, dryRun, measurementRetention}`).

    `templates` are the AnalysisTemplates and ClusterAnalysisTemplates that may be referred to. Metrics have their
    arguments in place; arguments from Secrets stay references. Raises SpecError with Argo's text.
    """
    used = _used(analysis.get("templates") or [], templates)
    specs = [template.get("spec") or {} for template in used]
    supplied = {
        str(argument["name"]): rollout_value(argument, rollout, stable_hash=stable_hash, latest_hash=latest_hash)
        for argument in analysis.get("args") or []
    }
    arguments = merge_arguments([a for spec in specs for a in spec.get("args") or []], supplied)
    metrics = [metric for spec in specs for metric in spec.get("metrics") or []]
    _refuse_twice([str(metric["name"]) for metric in metrics], "metrics")
    merged: dict[str, Any] = {
        "metrics": [substitute(metric, arguments) for metric in metrics],
        "args": arguments,
    }
    for field, what in _LISTS.items():
        rules = [*(analysis.get(field) or []), *(rule for spec in specs for rule in spec.get(field) or [])]
        _refuse_twice([str(rule.get("metricName")) for rule in rules], what)
        if rules:
            merged[field] = rules
    return merged


def _used(references: Sequence[Mapping[str, Any]], templates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The templates that are referred to, nested ones too, each once; namespaced ones before cluster ones."""
    known = {(t.get("kind") == "ClusterAnalysisTemplate", str(t["metadata"]["name"])): t for t in templates}
    found: dict[tuple[bool, str], Mapping[str, Any]] = {}

    def visit(reference: Mapping[str, Any]) -> Iterator[None]:
        key = (bool(reference.get("clusterScope")), str(reference.get("templateName")))
        if key in found:
            return
        if key not in known:
            raise SpecError(f"{'ClusterAnalysisTemplate' if key[0] else 'AnalysisTemplate'} '{key[1]}' not found")
        found[key] = known[key]
        for nested in (known[key].get("spec") or {}).get("templates") or []:
            yield from visit(nested)

    for reference in references:
        list(visit(reference))
    return [template for key, template in sorted(found.items(), key=lambda item: item[0][0])]


def _refuse_twice(names: Sequence[str], what: str) -> None:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise SpecError(f"two {what} have the same name '{twice}'")
