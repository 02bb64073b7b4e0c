"""Payloads of a backtest: what a comparison would have said of past versions, and of one against itself.

Counts stay with the activities, which send what came of them. Times are unix seconds.
"""

from __future__ import annotations

from pydantic import Field

from tidegate.analysis.compare.backtest import Outcome, PastJudgement
from tidegate.analysis.compare.history import StableHour, VersionChange
from tidegate.analysis.compare.models import Weight
from tidegate.contract.names import NamespaceName
from tidegate.contract.payload import Document, Payload

MOST_CHANGES = 20
"""Changes that are judged, the newest of all."""
MOST_HOURS = 4
"""Hours of one version alone that it is compared with itself in."""
MOST_SPLITS = 200
MOST_SETTINGS = 8
"""Settings of a sweep. All of them are judged by the same counts."""
LONGEST_SINCE = 90 * 86_400


class PastTarget(Payload):
    """Metric that compares (Argo's metric object), and the Rollout whose pods it counts."""

    namespace: str
    rollout: str = ""
    metric: Document
    secret_args: dict[str, dict[str, str]] = Field(default_factory=dict)  # as in MeasureRequest
    metrics: int = 1  # comparisons of its run, which share what they may abort falsely


class BacktestRequest(Payload):
    """Judge the changes of version of the last `since` seconds by the comparisons in specs of AnalysisRuns.

    `rollout` is the name of the Rollout and `weights` are its weights above 0 and below 100 %; both are empty where it
    is not known. `settings` are those of a sweep, each `name=value`.
    """

    namespace: NamespaceName
    rollout: str = ""
    specs: tuple[Document, ...]
    weights: tuple[Weight, ...] = ()
    since: float = Field(gt=0, le=LONGEST_SINCE)
    settings: tuple[str, ...] = Field(default=(), max_length=MOST_SETTINGS)


class FindChanges(Payload):
    """Ask for the changes of version between two times."""

    target: PastTarget
    start: float
    end: float


class VersionHistory(Payload):
    """The newest changes of version, how many there are in all, and hours of one version alone.

    `begins` is the start of the first hour with requests. `queries` is how many series the source was asked for.
    """

    changes: tuple[VersionChange, ...] = ()
    found: int = 0
    stable: tuple[StableHour, ...] = ()
    begins: float = 0
    queries: int = 0


class JudgeChange(Payload):
    """Ask what the comparison would have said of a change: as it is written, and with each of the settings."""

    target: PastTarget
    change: VersionChange
    weights: tuple[Weight, ...] = ()
    settings: tuple[str, ...] = ()


class PastChange(Payload):
    """One change: when the canary got its first traffic, its weights as far as they show, and what was said.

    `judgements` has one for the comparison as it is written and one for each setting. With `error` there are none.
    """

    change: VersionChange
    weights: tuple[Weight, ...] = ()
    until: float = 0
    judgements: tuple[PastJudgement, ...] = ()
    queries: int = 0
    error: str = ""


class JudgeStable(Payload):
    """Ask for comparisons of one version with itself, in an hour in which it was alone: at most `most` splits."""

    target: PastTarget
    hour: StableHour
    weights: tuple[Weight, ...] = ()
    settings: tuple[str, ...] = ()
    most: int = Field(ge=1, le=MOST_SPLITS)


class SplitCounts(Payload):
    """Endings of the splits with one setting; what is neither is undecided."""

    splits: int = 0
    aborted: int = 0
    promoted: int = 0

    def with_outcome(self, outcome: Outcome) -> SplitCounts:
        """The same with one more."""
        return SplitCounts(
            splits=self.splits + 1,
            aborted=self.aborted + (outcome is Outcome.HARM),
            promoted=self.promoted + (outcome is Outcome.PROVEN),
        )

    def plus(self, other: SplitCounts) -> SplitCounts:
        """Both together."""
        return SplitCounts(
            splits=self.splits + other.splits,
            aborted=self.aborted + other.aborted,
            promoted=self.promoted + other.promoted,
        )


class StableJudged(Payload):
    """Endings of an hour's splits, as written and for each setting, by the events that groups are counted for."""

    counts: tuple[SplitCounts, ...] = ()
    events: tuple[str, ...] = ()
    queries: int = 0
    error: str = ""


class ComparisonBacktest(Payload):
    """Everything that was found for one metric.

    `same` are the comparisons of one version with itself, as written and for each setting, over `hours` hours and for
    the events `same_events`. `thresholds` names the other metrics of its run. With `error` there is nothing else, and
    `refused` says that asking again cannot help.
    """

    metric: str
    source: str
    begins: float = 0
    found: int = 0
    changes: tuple[PastChange, ...] = ()
    same: tuple[SplitCounts, ...] = ()
    same_events: tuple[str, ...] = ()
    hours: int = 0
    thresholds: tuple[str, ...] = ()
    queries: int = 0
    notes: tuple[str, ...] = ()
    error: str = ""
    refused: bool = False


class BacktestReport(Payload):
    """Judgements of comparisons about the time since `start`; `settings` are those of the sweep."""

    namespace: str
    rollout: str = ""
    start: float
    end: float
    weights: tuple[Weight, ...] = ()
    settings: tuple[str, ...] = ()
    comparisons: tuple[ComparisonBacktest, ...] = ()
