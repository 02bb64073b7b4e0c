"""The queries of alerts and dashboard, and the metrics that they read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import DEPLOY, documents, of_kind
from tidegate.contract.metrics import METRICS, Histogram

COMMON = DEPLOY / "kustomize" / "base" / "common"
# Metrics of Temporal's SDK: its reference, docs.temporal.io/references/sdk-metrics, with the suffixes of the Prometheus
# exporter that `workers/process.py` sets. The server's: temporalio/temporal, common/metrics/metric_defs.go.
OF_TEMPORAL = {
    "temporal_workflow_task_execution_failed_total": ("task_queue", "workflow_type"),
    "temporal_workflow_task_schedule_to_start_latency_seconds_bucket": ("task_queue", "le"),
    "temporal_activity_schedule_to_start_latency_seconds_bucket": ("task_queue", "le"),
    "temporal_sticky_cache_size": ("task_queue",),
    "no_poller_tasks": ("namespace", "taskqueue"),
}
OF_THE_TARGET = {"app_kubernetes_io_component", "pod"}  # put on by the ServiceMonitor
_WORDS = {"by", "without", "and", "or", "unless", "on", "ignoring", "group_left", "group_right", "offset", "bool"}
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-z_:][a-z0-9_:]*)\s*\{([^}]*)\}")


def rules() -> list[dict[str, Any]]:
    """The alerting rules as deployed."""
    [rule] = of_kind(documents(COMMON / "monitoring.yaml"), "PrometheusRule")
    return [each for group in rule["spec"]["groups"] for each in group["rules"]]


def panels() -> Iterator[tuple[str, str]]:
    """Title and query of each target of the dashboard; Grafana's variables have a value."""
    board = json.loads((COMMON / "dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "1m").replace("$rollout_namespace", ".*")
            yield panel["title"], query


def metrics_of(query: str) -> set[str]:
    """Names of the metrics that a query reads."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = _GROUPING.sub("", re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare))
    names = re.findall(r"(?<![\w.])[a-z_:][a-z0-9_:]*\b(?!\s*\()", re.sub(r"\boffset\s+\w+", "", bare))
    return {name for name in names if name not in _WORDS}


def labels_of(query: str) -> set[str]:
    """Names of the labels that a query selects or groups by."""
    bare = re.sub(r'"[^"]*"', '""', query)
    grouped = {label.strip() for labels in _GROUPING.findall(bare) for label in labels.split(",")}
    return grouped | {label for _, labels in _SELECTOR.findall(bare) for label in re.findall(r"(\w+)\s*[=!]", labels)}


def known() -> dict[str, tuple[str, ...]]:
    """Each series that there is, with its labels."""
    own: dict[str, tuple[str, ...]] = {}
    for metric in METRICS:
        if isinstance(metric, Histogram):
            own[f"{metric.name}_bucket"] = (*metric.labels, "le")
            own |= dict.fromkeys((f"{metric.name}_sum", f"{metric.name}_count"), metric.labels)
        else:
            own[metric.name] = metric.labels
    return own | OF_TEMPORAL
