"""Payloads of a comparison: one call that reads the hour before, and calls that read counts for up to a minute each."""

from __future__ import annotations

from pydantic import Field

from tidegate.analysis.compare.models import Comparison, CountRow, Weight
from tidegate.analysis.compare.state import ComparisonState
from tidegate.contract.payload import Document, Payload


class ComparedVersions(Payload):
    """How a source tells the versions apart: names of their ReplicaSets, and values of the tag that both carry."""

    canary: str  # name of the ReplicaSet
    stable: str
    canary_tag: str = ""  # `tags.datadoghq.com/version` of the pod template, else its DD_VERSION; empty: unknown
    stable_tag: str = ""


class OpenComparison(Payload):
    """Ask for stable's hour before `first_traffic` (seconds since 1970). The answer is an OpenedComparison.

    `metric` is Argo's metric object, arguments substituted except secrets.
    """

    namespace: str
    run: str
    metric: Document
    secret_args: dict[str, dict[str, str]] = Field(default_factory=dict)  # arg name -> {name, key} of a Secret
    versions: ComparedVersions
    first_traffic: float


class OpenedComparison(Payload):
    """Settings with their thresholds, and the state before the first bucket.

    `incomparable` is why the versions cannot be compared, empty when they can: the metric is Inconclusive then.
    """

    comparison: Comparison
    state: ComparisonState
    notes: tuple[str, ...] = ()
    incomparable: str = ""


class ReadCounts(OpenComparison):
    """Ask for counts from `state.table.final` on. The answer is CountReadings.

    The activity reads every ten seconds. It returns after `seconds`, or at once when its own fold of what it has read
    says abort, or clear where `ends_at_clear`, or that the alarm has come or gone.
    """

    comparison: Comparison
    state: ComparisonState
    weights: tuple[Weight, ...]
    ends_at_clear: bool = True
    seconds: float = 60


class CountReadings(Payload):
    """Rows that are new or changed since the state that was given, as of `now` (seconds since 1970)."""

    rows: tuple[CountRow, ...]
    now: float
    query: str = ""
    notes: tuple[str, ...] = ()
