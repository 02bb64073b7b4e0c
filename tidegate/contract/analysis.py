"""Payloads of analysis runs and of their measurements."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tidegate.analysis.compare.models import Weight
from tidegate.analysis.reading import Reading
from tidegate.analysis.status import AnalysisStatus
from tidegate.contract.compare import ComparedVersions
from tidegate.contract.jobs import Owner
from tidegate.contract.names import AnalysisKind, ClusterName, NamespaceName, RunName
from tidegate.contract.payload import Document, Payload
from tidegate.manifests.limits import excess_text, excesses


class AnalysisRequest(Payload):
    """Input of an analysis run: Argo's AnalysisRun spec with metrics, bound args, dryRun, measurementRetention.

    What the run creates in the cluster goes with `owner`, where there is one.
    """

    cluster: ClusterName = "default"
    namespace: NamespaceName
    name: RunName
    spec: Document  # Argo's AnalysisRun spec: metrics, bound args, dryRun, measurementRetention
    kind: AnalysisKind | Literal[""] = ""  # empty when started alone
    release_id: str = ""  # workflow id of the release that gets changed verdicts
    owner: Owner | None = None  # of objects that the run creates in the cluster
    versions: ComparedVersions | None = None  # where a metric compares them
    weights: tuple[Weight, ...] = ()  # of the release that took effect so far, where a metric compares versions
    planned_weights: tuple[Weight, ...] = ()  # of its steps, above 0 and below 100 %; `since` says nothing

    def excess(self) -> str:
        """Limits that the spec exceeds, as one text; empty without any. Takes bounded time."""
        return "; ".join(excess_text(each) for each in excesses({"spec": self.spec}))


class AnalysisResult(Payload):
    """Result of an analysis run. A failed gate is a result, not an error: the release decides what follows."""

    status: AnalysisStatus


class MeasureRequest(Payload):
    """One measurement of each of `metrics`, which belong to one provider."""

    namespace: str
    run: str
    metrics: tuple[Document, ...]  # Argo's metric objects, args substituted except secrets
    secret_args: dict[str, dict[str, str]] = Field(default_factory=dict)  # arg name -> {name, key} of a Secret
    # Number of the measurement by metric, from 1: it tells the effect of one from that of the next.
    numbers: dict[str, int] = Field(default_factory=dict)
    # Metadata of a measurement that is still under way, by metric: it is read again, not started.
    pending: dict[str, dict[str, str]] = Field(default_factory=dict)
    # For a provider whose measurements leave objects behind.
    uid: str = ""  # of the run, also where another run has its name
    retention: dict[str, int] = Field(default_factory=dict)  # measurements that are kept, by metric
    owner: Owner | None = None


MeasureResult = list[Reading]
