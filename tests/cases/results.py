"""Metric results as the case files write them, and the one thing that all of them take for granted."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from tidegate.analysis.metric import MetricRules
from tidegate.manifests.analysis_template import Metric


def result_of(value: Any, kind: str = "float") -> JsonValue:
    """A result of the given `result_type`; numbers of decoded JSON are floats."""
    if kind == "null_float" or value is None:
        return None
    if kind in ("float", "float_ptr"):
        return float(value)
    if kind == "int":
        return int(value)
    if kind == "float_list":
        return [float(item) for item in value]
    return _json(value) if kind == "json" else str(value)


def with_argos_limit(metric: dict[str, Any]) -> dict[str, Any]:
    """The metric with Argo's default of inconclusiveLimit, which the cases leave out."""
    return {"inconclusiveLimit": 0} | metric


def rules_of(metric: dict[str, Any]) -> MetricRules:
    return MetricRules.of(Metric.model_validate(with_argos_limit(metric)))


def _json(value: Any) -> JsonValue:
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
