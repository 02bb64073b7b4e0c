"""The page of all metrics, written from their list: `python -m workers.metrics_page > docs/metrics.md`."""

from __future__ import annotations

import sys

from tidegate.contract.metrics import METRICS, Counter, Histogram, Instrument

_INTRODUCTION = """# Metrics

`TIDEGATE_TELEMETRY=0.0.0.0:9464` makes a process serve these to Prometheus, beside the metrics of Temporal's SDK
(`temporal_...`). One pod is one target: sum over pods where a counter or a histogram is read. A replay of a workflow
counts nothing twice.

Labels have few values, which the table names or which are words of manifests and of HTTP; none holds a text or a
secret. The watcher's gauges have a series for each Rollout. Temporal's SDK adds `namespace` (Temporal's), `task_queue`,
and `workflow_type` or `activity_type` to what workflows and activities count. Which cluster a process is in, the
external labels of Prometheus say.

The alerts are in `deploy/kustomize/base/common/monitoring.yaml`, each with a page in `docs/runbooks/`, and Grafana's
dashboard is `deploy/kustomize/base/common/dashboard.json`. Steps and weights of a Rollout are in the gauges of the
watcher alone, as a release moves between workers.

A series begins with its first event, at 1, and `increase` sees no growth in that. So queries on single events take what
began within their window as it is: `x unless x offset 1h or increase(x[1h])`.

This page is written from the list in the code: `python -m workers.metrics_page > docs/metrics.md`.

| metric | type | labels | role | what it is |
|---|---|---|---|---|
"""


def render() -> str:
    """The page as Markdown."""
    return _INTRODUCTION + "".join(_row(metric) for metric in METRICS)


def _row(metric: Instrument) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {_kind(metric)} | {labels} | {metric.source} | {metric.help} |\n"


def _kind(metric: Instrument) -> str:
    if isinstance(metric, Histogram):
        return "histogram"
    return "counter" if isinstance(metric, Counter) else "gauge"


if __name__ == "__main__":
    sys.stdout.write(render())
