"""A metric provider whose answers a test writes, and templates that ask it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import yaml
from temporalio import activity

from tidegate.analysis.reading import Reading
from tidegate.contract import Activity, MeasureRequest


class ScriptedProvider:
    """Answers every metric with `value`; what was asked is in `asked`, and `reached` is set by the first question."""

    def __init__(self) -> None:
        self.value: float | None = 0.001
        self.asked: list[MeasureRequest] = []
        self.reached = asyncio.Event()

    @activity.defn(name=Activity.MEASURE_PROMETHEUS)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        self.asked.append(request)
        self.reached.set()
        return [self._reading(metric) for metric in request.metrics]

    def _reading(self, metric: dict[str, Any]) -> Reading:
        now = datetime.now(UTC)
        query = str(metric["provider"]["prometheus"]["query"])
        return Reading(
            metric=str(metric["name"]),
            result=self.value,
            value=str(self.value),
            query=query,
            started_at=now,
            finished_at=now,
        )


def template(name: str = "error-rate", **changes: Any) -> dict[str, Any]:
    """An AnalysisTemplate with one metric that asks once; `changes` are fields of the metric."""
    query = 'scalar(errors{app="{{args.service}}-canary"})'
    metric = {
        "name": "error-rate",
        "successCondition": "result < 0.01",
        "failureCondition": "result >= 0.05",
        "provider": {"prometheus": {"address": "http://prometheus", "query": query}},
        **changes,
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"args": [{"name": "service"}], "metrics": [metric]},
    }


def endless() -> dict[str, Any]:
    """A template whose run ends only when somebody ends it."""
    return template(interval="1s")


def text(*templates: dict[str, Any]) -> str:
    """Templates as a file."""
    return yaml.safe_dump_all(templates)
