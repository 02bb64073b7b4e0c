"""Plays whole analysis runs against scripts, with a clock that only moves from one due moment to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegate.analysis.metric import MetricRules
from tidegate.analysis.reading import Reading
from tidegate.analysis.rules import RunRules
from tidegate.analysis.run import Run
from tidegate.analysis.status import AnalysisStatus, MetricStatus

START = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS: dict[str, dict[str, Any]] = {
    "S": {"result": 0.0, "value": "0"},
    "I": {"result": 0.5, "value": "0.5"},
    "F": {"result": 1.0, "value": "1"},
    "E": {"error": "boom"},
    "N": {"no_data": True},
}
"""Readings by letter: good, in the band, bad, an error, no data."""

Script = Mapping[str, Sequence[str]]
"""Letters by metric; the last one repeats."""


def metric(name: str = "m", **fields: Any) -> dict[str, Any]:
    """A metric that `FIELDS` can be judged by."""
    return {
        "name": name,
        "interval": "1m",
        "successCondition": "result < 0.2",
        "failureCondition": "result > 0.8",
        "provider": {"datadog": {"query": "q"}},
        **fields,
    }


def unchanged(status: AnalysisStatus) -> AnalysisStatus:
    return status


def play(
    spec: Mapping[str, Any],
    script: Script,
    *,
    passes: int = 60,
    carry: Callable[[AnalysisStatus], AnalysisStatus] = unchanged,
) -> Run:
    """The run after at most `passes` rounds of measuring; `carry` is what happens to its state between two rounds."""
    rules = RunRules.of(spec)
    letters = {name: _repeating(said) for name, said in script.items()}
    run, now = Run.begin("run", rules, START), START
    for _ in range(passes):
        run = Run(rules, carry(run.status))
        due = run.next_due()
        if due is None:
            break
        now = max(now, due)
        run.record([_reading(rule, letters[rule.name], now) for rule in run.due(now)], now)
    return run


def only(run: Run) -> MetricStatus:
    """The one metric of a run."""
    (found,) = run.status.metrics
    return found


def _repeating(letters: Sequence[str]) -> Iterator[str]:
    yield from letters
    while True:
        yield letters[-1]


def _reading(rule: MetricRules, letters: Iterator[str], now: datetime) -> Reading:
    return Reading.model_validate({"metric": rule.name, "started_at": now, "finished_at": now, **FIELDS[next(letters)]})
