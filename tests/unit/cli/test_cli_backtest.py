"""What `backtest` says: each change with what the comparison would have said, within a terminal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import typer

from tidegate.analysis.compare.backtest import Outcome, PastJudgement
from tidegate.analysis.compare.history import VersionChange
from tidegate.analysis.compare.models import planned_weights
from tidegate.cli.backtest import backtest_lines, past, swept
from tidegate.cli.exits import ExitCode
from tidegate.cli.plan import WIDTH, code_of
from tidegate.contract import BacktestReport, ComparisonBacktest, PastChange, SplitCounts

END = 1_764_500_000
WEIGHTS = planned_weights([10, 25, 50])


def judged(outcome: Outcome, sentence: str, seconds: float) -> PastJudgement:
    return PastJudgement(outcome=outcome, event="errors", sentence=sentence, seconds=seconds)


def change(number: int, *judgements: PastJudgement, error: str = "") -> PastChange:
    since = END - 86_400 * (10 - number)
    versions = VersionChange(canary=f"1.{number}.0", stable=f"1.{number - 1}.0", since=since, until=since + 7200)
    weights = tuple(weight.model_copy(update={"since": since + 300 * weight.index}) for weight in WEIGHTS)
    return PastChange(change=versions, weights=weights, judgements=judgements, error=error)


PROVEN = judged(
    Outcome.PROVEN,
    "Proven, errors: 41 of 8,212 canary requests against 43 of 8,190 of stable in the same 9 min; a version worse than "
    "1.25 x stable + 0.1 % would look this good in 1 of 112 rollouts (1 of 20 is asked for).",
    790,
)
HARM = judged(
    Outcome.HARM,
    "Harm, errors: 40 of 900 canary requests against 4 of 8,100 of stable; a version within 1.13 x stable + 0.05 % "
    "would look this bad in 1 of 8,200 rollouts.",
    130,
)


def compared(**fields: Any) -> ComparisonBacktest:
    return ComparisonBacktest(metric="as-good-as-stable", source="datadog", begins=END - 29 * 86_400, **fields)


def report(*comparisons: ComparisonBacktest, settings: tuple[str, ...] = ()) -> BacktestReport:
    return BacktestReport(
        namespace="payments",
        rollout="checkout",
        start=END - 30 * 86_400,
        end=END,
        weights=WEIGHTS,
        settings=settings,
        comparisons=comparisons,
    )


FULL = report(
    compared(
        found=3,
        changes=(
            change(1, PROVEN, judged(Outcome.PROVEN, "", 600)),
            change(2, HARM, judged(Outcome.UNDECIDED, "", 3600)),
            change(3, error="datadog: the source has no counts of 10 s of that time any more"),
        ),
        same=(SplitCounts(splits=200, promoted=188), SplitCounts(splits=200, aborted=1, promoted=195)),
        same_events=("errors",),
        hours=4,
        thresholds=("error-rate", "latency"),
        queries=312,
    ),
    settings=("plus=0.5%",),
)


def said(found: BacktestReport) -> str:
    return "\n".join(backtest_lines(found, WIDTH))


def test_a_report_says_what_each_change_would_have_come_to() -> None:
    assert said(FULL) == (
        """\
payments/checkout, weights 10, 25, 50 %, the last 30 days
as-good-as-stable (Datadog): 3 changes of version since 2025-11-01, where its
  counts begin.
  2025-11-21 10:53 UTC 1.0.0 -> 1.1.0 at 10, 25, 50 %: Proven after 13 min.
    Proven, errors: 41 of 8,212 canary requests against 43 of 8,190 of stable in
      the same 9 min; a version worse than 1.25 x stable + 0.1 % would look this
      good in 1 of 112 rollouts (1 of 20 is asked for).
    with plus=0.5%: Proven after 10 min
  2025-11-22 10:53 UTC 1.1.0 -> 1.2.0 at 10, 25, 50 %: Harm (errors) after 2
    min.
    Harm, errors: 40 of 900 canary requests against 4 of 8,100 of stable; a
      version within 1.13 x stable + 0.05 % would look this bad in 1 of 8,200
      rollouts.
    with plus=0.5%: undecided after 60 min
  2025-11-23 10:53 UTC 1.2.0 -> 1.3.0: not judged: datadog: the source has no
    counts of 10 s of that time any more
  Weights are reconstructed from the shares that were answered, so requests that
    a canary lost do not show here, and the share of the traffic is not judged.
  A version against itself, its pods split in different ways in 4 hours, by
    errors: false aborts 0 of 200, promotions 188 of 200.
    with plus=0.5%: false aborts 1 of 200, promotions 195 of 200
  error-rate and latency of the same analyses: not evaluated. Queries of
    thresholds are about the version that arguments name today, which is not
    that of a past change.
  It asked Datadog for 312 series."""
    )


def test_a_source_without_history_is_refused_and_one_without_an_answer_is_no_success() -> None:
    none = compared(error="datadog: there is no history: no request of any version in the last 30 days", refused=True)
    assert "no backtest: datadog: there is no history" in " ".join(said(report(none)).split())
    assert code_of(report(none).comparisons) is ExitCode.REFUSED
    assert code_of(report(compared(error="datadog: 503")).comparisons) is ExitCode.INTERNAL
    assert code_of(FULL.comparisons) is ExitCode.OK


def test_how_far_back_the_counts_go_is_said_where_that_is_shorter() -> None:
    whole = compared().model_copy(update={"begins": END - 30 * 86_400})
    assert "where its counts begin" not in said(report(whole))
    assert "since 2025-11-01, where its counts begin" in " ".join(said(report(compared())).split())


def test_what_was_not_looked_at_is_said() -> None:
    text = " ".join(said(report(compared(found=25, changes=(change(1, PROVEN),)))).split())
    assert "the newest 1 of 25 changes of version" in text
    assert "No version was compared with itself" in text
    assert "not evaluated" not in text, "there are no thresholds"
    quiet = " ".join(said(report(compared(notes=("datadog: 1 groups of pods are known",)))).split())
    assert "0 changes of version" in quiet
    assert "note: a version was not compared with itself in some hours: datadog: 1 groups" in quiet


def test_no_line_is_wider_than_a_terminal() -> None:
    assert max(map(len, said(FULL).splitlines())) <= WIDTH


def test_an_option_has_several_values_of_one_setting() -> None:
    assert swept("plus=0.1%, 0.5%") == ["plus=0.1%", "plus=0.5%"]
    for wrong in ("plus", "=1%", "plus=", "plus=1%,"):
        with pytest.raises(typer.BadParameter, match="is not NAME=VALUE"):
            swept(wrong)


def test_the_past_is_in_days_or_as_other_times() -> None:
    assert past("30d") == timedelta(days=30)
    assert past("12h") == timedelta(hours=12)
    for wrong in ("d", "1.5d", "99999d", "soon"):
        with pytest.raises(typer.BadParameter):
            past(wrong)
