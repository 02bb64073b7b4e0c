"""Metrics that the processes show to Prometheus, beside those of Temporal's SDK: names, labels, texts.

A label has few values that are known beforehand. Only names of Rollouts and their namespaces come from a cluster. No
label holds a text or a secret. `docs/metrics.md` is written from this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio.common import MetricMeter

NO_RESPONSE: Final = "error"  # in place of the status of a request that got none
# Steps and ways back take from a fraction of a second to days.
_STEP_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0)
_WAY_BACK_BUCKETS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)


@dataclass(frozen=True)
class Instrument:
    """A metric by its name in Prometheus. `source` is the process that shows it."""

    name: str
    help: str
    source: str
    labels: tuple[str, ...] = ()

    def _check(self, labels: dict[str, str]) -> None:
        if labels.keys() != set(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}")


class Counter(Instrument):
    """A number that only grows."""

    @property
    def sdk_name(self) -> str:
        """The name without the suffix that the SDK puts on."""
        return self.name.removesuffix("_total")

    def add(self, meter: MetricMeter, **labels: str) -> None:
        """Count one more. Raises ValueError for other labels than those of the metric."""
        self._check(labels)
        meter.create_counter(self.sdk_name, self.help).add(1, labels)


class Gauge(Instrument):
    """A number as it is now."""

    def set(self, meter: MetricMeter, value: float, **labels: str) -> None:
        """Set the number. Raises ValueError for other labels than those of the metric."""
        self._check(labels)
        meter.create_gauge_float(self.name, self.help).set(value, labels)


@dataclass(frozen=True)
class Histogram(Instrument):
    """Lengths of time, in seconds; `buckets` are upper limits."""

    buckets: tuple[float, ...] = ()

    @property
    def sdk_name(self) -> str:
        """The name without the suffix that the SDK puts on."""
        return self.name.removesuffix("_seconds")

    def observe(self, meter: MetricMeter, length: timedelta, **labels: str) -> None:
        """Add one length of time. Raises ValueError for other labels than those of the metric."""
        self._check(labels)
        meter.create_histogram_timedelta(self.sdk_name, self.help).record(max(length, timedelta()), labels)


READY = Gauge("tidegate_ready", "1 while the process can take work, else 0", "every process")
RELEASES_STARTED = Counter("tidegate_releases_started_total", "Versions whose release was admitted", "workflows")
RELEASES_ENDED = Counter(
    "tidegate_releases_ended_total",
    "Releases that have ended, by outcome: Healthy, or the type of the error such as RolloutAborted",
    "workflows",
    ("outcome",),
)
STEP_DURATION = Histogram(
    "tidegate_step_duration_seconds",
    "Time in a step that has ended, by its kind in the manifest and its state: done, or failed when it was interrupted",
    "workflows",
    ("step", "state"),
    _STEP_BUCKETS,
)
ANALYSIS_RUNS = Counter(
    "tidegate_analysis_runs_total",
    "Verdicts of analysis runs that a release awaited, by kind (Step, Background, Bake, Experiment) and phase",
    "workflows",
    ("kind", "phase"),
)
VERDICT_TO_STABLE = Histogram(
    "tidegate_verdict_to_stable_seconds",
    "Time until all traffic was read back on stable: from the verdict (cause: analysis), else from the abort (other)",
    "workflows",
    ("cause",),
    _WAY_BACK_BUCKETS,
)
FOLLOW_UPS = Counter(
    "tidegate_follow_ups_total",
    "Effects of decisions that have ended, by their activity and outcome: done, skipped (not set up) or failed",
    "workflows",
    ("effect", "outcome"),
)
PROVIDER_REQUESTS = Counter(
    "tidegate_provider_requests_total",
    "HTTP requests to metric providers, by status; the code of one without a response is error",
    "metrics",
    ("provider", "code"),
)
PROVIDER_LIMIT = Gauge(
    "tidegate_provider_rate_limit_requests",
    "Requests that Datadog allows in a period, by its latest response (X-RateLimit-Limit)",
    "metrics",
    ("provider",),
)
PROVIDER_REMAINING = Gauge(
    "tidegate_provider_rate_limit_remaining",
    "Requests that are left of them in this period, by the same response (X-RateLimit-Remaining)",
    "metrics",
    ("provider",),
)
KUBERNETES_REQUESTS = Counter(
    "tidegate_kubernetes_requests_total",
    "Requests to the API server, by method and status; the code of one without a response is error",
    "cluster, watcher",
    ("method", "code"),
)
WATCH_FAILURES = Counter(
    "tidegate_watch_failures_total",
    "Lists and watches of objects that failed or were broken off, by kind of object and type of failure",
    "cluster, watcher",
    ("kind", "failure"),
)
WATCHED_ROLLOUTS = Gauge(
    "tidegate_watched_rollouts",
    "Rollout objects when all were last listed, by the watched namespace or all",
    "watcher",
    ("watched",),
)
ROLLOUTS = Gauge(
    "tidegate_rollouts",
    "Rollout objects by namespace and phase: Healthy, Progressing, Paused, Degraded, or Unknown before a first release",
    "watcher",
    ("rollout_namespace", "phase"),
)
ROLLOUT_WEIGHT = Gauge(
    "tidegate_rollout_weight",
    "Percent of the traffic that the canary gets, as the Rollout's status has it",
    "watcher",
    ("rollout_namespace", "rollout"),
)
ROLLOUT_STEP = Gauge(
    "tidegate_rollout_step",
    "Number, from 1, of the step that a release is at, as the Rollout's status has it; 0 while none is under way",
    "watcher",
    ("rollout_namespace", "rollout"),
)
ROLLOUT_STEP_STARTED = Gauge(
    "tidegate_rollout_step_started_timestamp_seconds",
    "Unix time at which this process first saw the Rollout at that step; 0 while none is under way",
    "watcher",
    ("rollout_namespace", "rollout"),
)

METRICS: tuple[Instrument, ...] = (
    READY,
    RELEASES_STARTED,
    RELEASES_ENDED,
    STEP_DURATION,
    ANALYSIS_RUNS,
    VERDICT_TO_STABLE,
    FOLLOW_UPS,
    PROVIDER_REQUESTS,
    PROVIDER_LIMIT,
    PROVIDER_REMAINING,
    KUBERNETES_REQUESTS,
    WATCH_FAILURES,
    WATCHED_ROLLOUTS,
    ROLLOUTS,
    ROLLOUT_WEIGHT,
    ROLLOUT_STEP,
    ROLLOUT_STEP_STARTED,
)


def bucket_overrides() -> dict[str, tuple[float, ...]]:
    """Buckets of the histograms by the names of their instruments, as the SDK's `PrometheusConfig` takes them."""
    return {metric.sdk_name: metric.buckets for metric in METRICS if isinstance(metric, Histogram)}
