"""Text of a backtest: what a comparison would have said of each change of version, in plain English."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tidegate.analysis.compare.backtest import Outcome, PastJudgement
from tidegate.analysis.compare.models import Weight
from tidegate.analysis.compare.phrases import listing, percent, time
from tidegate.contract import BacktestReport, ComparisonBacktest, PastChange, SplitCounts
from tidegate.report.forecast import SOURCES

_SHOWN_WEIGHTS = 6
_SHORT_OF_START = 7200  # seconds: whole hours are looked at
THRESHOLDS = (
    "{names} of the same analyses: not evaluated. Queries of thresholds are about the version that arguments name "
    "today, which is not that of a past change."
)
WEIGHTS = (
    "Weights are reconstructed from the shares that were answered, so requests that a canary lost do not show here, "
    "and the share of the traffic is not judged."
)


def backtest_view(report: BacktestReport) -> Iterator[tuple[int, str]]:
    """Yield everything there is to say, each sentence with the number of spaces before it."""
    where = f"{report.namespace}/{report.rollout}" if report.rollout else report.namespace
    weights = f", weights {_shares(report.weights)}" if report.weights else ""
    days = (report.end - report.start) / 86_400
    yield 0, f"{where}{weights}, the last {days:.3g} days"
    for each in report.comparisons:
        yield from _comparison(report, each)


def _comparison(report: BacktestReport, found: ComparisonBacktest) -> Iterator[tuple[int, str]]:
    source = SOURCES.get(found.source, found.source)
    if found.error:
        yield 0, f"{found.metric} ({source}): no backtest: {found.error}"
        return
    known = ", where its counts begin" if found.begins - report.start > _SHORT_OF_START else ""
    yield 0, f"{found.metric} ({source}): {_changes(found)} since {_day(found.begins)}{known}."
    for change in found.changes:
        yield from _change(change, report.settings)
    if found.changes:
        yield 2, WEIGHTS
    yield from _same(found, report.settings)
    if found.thresholds:
        yield 2, THRESHOLDS.format(names=listing(found.thresholds))
    yield 2, f"It asked {source} for {found.queries:,} series."


def _changes(found: ComparisonBacktest) -> str:
    number = f"{found.found} change{'' if found.found == 1 else 's'} of version"
    return number if found.found == len(found.changes) else f"the newest {len(found.changes)} of {number}"


def _change(change: PastChange, settings: Sequence[str]) -> Iterator[tuple[int, str]]:
    versions = f"{change.change.stable} -> {change.change.canary}"
    if change.error or not change.judgements:
        yield 2, f"{_minute(change.change.since)} {versions}: not judged: {change.error}"
        return
    written, *others = change.judgements
    at = change.weights[0].since if change.weights else change.change.since
    yield 2, f"{_minute(at)} {versions} at {_shares(change.weights)}: {_outcome(written)}."
    yield 4, written.sentence
    for setting, judged in zip(settings, others, strict=True):
        yield 4, f"with {setting}: {_outcome(judged)}"


def _outcome(judged: PastJudgement) -> str:
    event = f" ({judged.event})" if judged.outcome is Outcome.HARM else ""
    return f"{judged.outcome}{event} after {time(judged.seconds)}"


def _same(found: ComparisonBacktest, settings: Sequence[str]) -> Iterator[tuple[int, str]]:
    for note in found.notes:
        yield 2, f"note: a version was not compared with itself in some hours: {note}"
    if not found.same or not found.same[0].splits:
        yield 2, "No version was compared with itself: that needs two hours in a row of one version, and two pods."
        return
    hours = f"{found.hours} hour{'' if found.hours == 1 else 's'}"
    written, *others = found.same
    yield (
        2,
        (
            f"A version against itself, its pods split in different ways in {hours}, by {listing(found.same_events)}: "
            f"{_counts(written)}."
        ),
    )
    for setting, counts in zip(settings, others, strict=True):
        yield 4, f"with {setting}: {_counts(counts)}"


def _counts(counts: SplitCounts) -> str:
    return f"false aborts {counts.aborted} of {counts.splits}, promotions {counts.promoted} of {counts.splits}"


def _shares(weights: Sequence[Weight]) -> str:
    shares = [percent(weight.share).removesuffix(" %") for weight in weights]
    shown = shares if len(shares) <= _SHOWN_WEIGHTS else [*shares[:_SHOWN_WEIGHTS], "..."]
    return f"{', '.join(shown)} %"


def _minute(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
