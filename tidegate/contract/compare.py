"""Payloads of a comparison of the canary with stable: what is known before, and the counts since.

An activity folds what it reads with the same pure code as the workflow, so that it knows when to return. The workflow
folds the rows again, reading by reading, and decides by itself: `tidegate.analysis.compare.state.read` of each reading
in turn, with `at` as the time.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from tidegate.analysis.compare.evidence import VERSION
from tidegate.analysis.compare.models import Comparison, CountRow, Provability, Ruling, Weight
from tidegate.analysis.compare.state import ComparisonState
from tidegate.contract.names import AnalysisKind
from tidegate.contract.payload import Document, Payload


class ComparedVersions(Payload):
    """Two versions of a Rollout.

    `canary` and `stable` are hashes of pod templates. `canary_version` and `stable_version` are the values of the tag
    that tells the versions apart where a source has one; `versions` of the metric goes before them. `hour` and
    `hour_version` are those of the version whose hour before is read, empty where that is stable itself: a template of
    an experiment has no past.
    """

    rollout: str
    canary: str
    stable: str
    canary_version: str = ""
    stable_version: str = ""
    hour: str = ""
    hour_version: str = ""


class CompareTarget(ComparedVersions):
    """Which versions are compared, and by which metric (Argo's metric object, as in MeasureRequest)."""

    namespace: str
    run: str
    metric: Document
    secret_args: dict[str, dict[str, str]] = Field(default_factory=dict)  # as in MeasureRequest


class BeginComparison(Payload):
    """Ask for the hour before `at`, and for all that follows from it. Times are unix seconds.

    `first_traffic` is when the canary got or gets its first traffic: counts are read from there. `weights` are those of
    the Rollout above 0 and below 100 % (`since` is not read). `plus` are margins that were chosen before for
    `plus: auto`, `metrics` is how many comparisons the release has. `kind` is that of the analysis run: with all of the
    traffic and in an experiment other things can be said.
    """

    target: CompareTarget
    at: float
    first_traffic: float
    weights: tuple[Weight, ...] = ()
    plus: dict[str, float] = Field(default_factory=dict)
    metrics: int = 1
    kind: AnalysisKind | Literal[""] = ""


class ComparisonBegun(Payload):
    """The comparison in numbers, its state before the first bucket, and what can be proven when.

    `wanted` has the thresholds of latencies and the margins that were chosen: it stays as it is for the whole release.
    `queries` is the number of series that each reading asks for.
    """

    wanted: Comparison
    state: ComparisonState
    forecast: Provability
    queries: int = 0
    notes: tuple[str, ...] = ()


class ComparisonForecast(Payload):
    """Forecast for one metric of a release that compares, or the reason why there is none.

    `gates` are the parts of the release that measure it, `source` is the key of the source of its counts. `readings`
    and `queries` are how often that is asked until the version is through or `maxWait` is over, and for how many series
    at a time. With `error` there are no numbers; `refused` says that asking again cannot help.
    """

    metric: str
    gates: tuple[str, ...]
    source: str
    wanted: Comparison | None = None
    forecast: Provability | None = None
    readings: int = 0
    queries: int = 0
    notes: tuple[str, ...] = ()
    error: str = ""
    refused: bool = False


class ReleaseForecast(Payload):
    """Forecast of what a release can prove, by the traffic of the hour before.

    `weights` are those of its steps above 0 and below 100 %, `pauses` is the time in seconds that its timed pauses
    take.
    """

    namespace: str
    name: str
    weights: tuple[Weight, ...] = ()
    pauses: float = 0
    comparisons: tuple[ComparisonForecast, ...] = ()
    notes: tuple[str, ...] = ()


class CompareRequest(Payload):
    """Read counts from `state.table.final` on, for a minute or until they say something. Times are unix seconds.

    `weights` are those that took effect in this release, in order of time. `ruling` is that of the last judgement, and
    `alarmed` says that it had an alarm: a change of either ends the reading. `concludes` says that all of the traffic
    would follow a clear, whatever the weights say.
    """

    target: CompareTarget
    wanted: Comparison
    state: ComparisonState
    weights: tuple[Weight, ...] = ()
    first_traffic: float
    ruling: Ruling = Ruling.WAIT
    alarmed: bool = False
    concludes: bool = False


class CountReading(Payload):
    """Rows that were new or had changed at one reading."""

    at: float
    rows: tuple[CountRow, ...] = ()


class CompareReadings(Payload):
    """Readings in their order."""

    readings: tuple[CountReading, ...] = ()
    notes: tuple[str, ...] = ()


class WeightsChanged(Payload):
    """Message of a release to its analysis runs: all weights of its version that took effect, in order of time."""

    weights: tuple[Weight, ...]


class ComparisonsSaved(Payload):
    """Comparisons of a run that continues as new, by metric, and what its release has sent to them.

    `outdated` are the versions of stored states that this code does not read, by metric: those comparisons begin anew.
    """

    baselines: dict[str, ComparisonBegun] = Field(default_factory=dict)
    weights: tuple[Weight, ...] = ()
    concludes: bool = False
    outdated: dict[str, int] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _without_outdated(cls, data: Any) -> Any:
        """Take out the states of another version before anything of them is read."""
        if not isinstance(data, dict) or not isinstance(data.get("baselines"), dict):
            return data
        stored = {name: _stored_version(started) for name, started in data["baselines"].items()}
        outdated = {name: version for name, version in stored.items() if version != VERSION}
        kept = {name: started for name, started in data["baselines"].items() if name not in outdated}
        return {**data, "baselines": kept, "outdated": {**(data.get("outdated") or {}), **outdated}}


def _stored_version(started: Any) -> int:
    """Version of a stored state. What says none is of this version, and is judged by its fields."""
    if isinstance(started, ComparisonBegun):
        return started.state.version
    state = started.get("state") if isinstance(started, dict) else None
    parts = [state.get(part) for part in ("checkpoint", "table")] if isinstance(state, dict) else []
    versions = [part.get("version", VERSION) for part in parts if isinstance(part, dict)]
    return next((version for version in versions if isinstance(version, int) and version != VERSION), VERSION)
