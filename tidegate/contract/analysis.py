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
    spec: Document
    kind: AnalysisKind | Literal[""] = ""  # empty when started alone
    release_id: str = ""  # workflow id of the release to tell of changed verdicts
    owner: Owner | None = None
    versions: ComparedVersions | None = None  # where a metric compares them
    weights: tuple[Weight, ...] = ()  # of the release that took effect so far, where a metric compares versions
    planned_weights: tuple[Weight, ...] = ()  # of its steps, above 0 and below 100 %; `since` says nothing

    def excess(self) -> str:
        """What of it is more than a run takes; empty when nothing is. Takes bounded time."""
        return "; ".join(excess_text(each) for each in excesses({"spec": self.spec}))


class AnalysisResult(Payload):
    """Result of an analysis run. A failed gate is a result, not an error: the release decides what follows."""

    status: AnalysisStatus


class MeasureRequest(Payload):
    """One measurement of each of `metrics` (Argo's metric objects of one provider, args substituted except secrets).

    `numbers` counts the measurements of each metric from 1, so that an effect of one can be told from that of the
    next. `pending` is the metadata of a measurement that is still under way, by metric: such a one is looked at again,
    not begun.

    `uid` tells the run from every other one, also of its name; `retention` is how many measurements of a metric are
    kept. Both, and `owner`, are for a provider whose measurements leave something behind.
    """

    namespace: str
    run: str
    metrics: tuple[Document, ...]
    secret_args: dict[str, dict[str, str]] = Field(default_factory=dict)  # arg name -> {name, key} of a Secret
    numbers: dict[str, int] = Field(default_factory=dict)
    pending: dict[str, dict[str, str]] = Field(default_factory=dict)
    uid: str = ""
    retention: dict[str, int] = Field(default_factory=dict)
    owner: Owner | None = None


MeasureResult = list[Reading]
