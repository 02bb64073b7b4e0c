"""analysis_run: whole runs against a provider that follows a script, with a clock that only the script moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cases.families.metrics import COUNTERS
from tests.cases.family import Answer, Family, Input, equal
from tests.cases.results import result_of, with_argos_limit
from tidegate.analysis.arguments import SpecError, substitute
from tidegate.analysis.assess import judged_with_secrets
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.reading import Reading, Verdict
from tidegate.analysis.rules import RunRules
from tidegate.analysis.run import Run
from tidegate.analysis.status import AnalysisStatus, Phase, Summary

START = datetime(2026, 1, 1, tzinfo=UTC)
PHASES = {"S": Phase.SUCCESSFUL, "F": Phase.FAILED, "I": Phase.INCONCLUSIVE, "E": Phase.ERROR}


class ScriptedProvider:
    """Says what the script says; what is `running` is done later."""

    def __init__(self, given: Input) -> None:
        self._script = {name: list(outcomes) for name, outcomes in (given.get("script") or {}).items()}
        self._secrets = given.get("secrets") or {}
        self._broken = given.get("provider_error", "")
        self._then: dict[tuple[str, str], Any] = {}  # by run and metric

    def measure(
        self, rule: MetricRules, references: Mapping[str, Mapping[str, str]], now: datetime, run: str = ""
    ) -> Reading:
        def said(**fields: Any) -> Reading:
            return Reading.model_validate({"metric": rule.name, "started_at": now, "finished_at": now, **fields})

        try:
            values = [self._secret(name, **reference) for name, reference in references.items()]
        except KeyError as error:
            message = f"Unable to resolve metric arguments: {error.args[0]}"
            return said(error=message, unresolved=True)
        if self._broken:
            return said(error=self._broken)
        outcome = self._then.pop((run, rule.name), None) or self._next(rule.name)
        if isinstance(outcome, dict) and "running" in outcome:
            self._then[run, rule.name] = outcome["then"]
            return said(resume_at=now + timedelta(seconds=outcome["running"]))
        reading = said(**_fields(outcome))
        return judged_with_secrets(rule.document, substitute(rule.document, values), reading)

    def _next(self, metric: str) -> Any:
        script = self._script[metric]
        return script.pop(0) if len(script) > 1 else script[0]

    def _secret(self, argument: str, name: str, key: str) -> dict[str, str]:
        secret = self._secrets.get(f"default/{name}")
        if secret is None:
            raise KeyError(f'secrets "{name}" not found')
        if key not in secret:
            raise KeyError(f"key '{key}' does not exist in secret '{name}'")
        return {"name": argument, "value": secret[key]}


def _fields(outcome: Any) -> dict[str, Any]:
    if isinstance(outcome, dict) and "value" in outcome:
        return {"result": result_of(outcome["value"], outcome.get("type", "float"))}
    stated = outcome if isinstance(outcome, dict) else {"phase": outcome}
    phase = PHASES.get(stated["phase"]) or Phase(stated["phase"])
    if phase is Phase.ERROR:
        return {"error": stated.get("message", "boom")}
    return {"verdict": Verdict(phase=phase, message=stated.get("message", ""))}


def analysis_run(given: Input) -> Answer:
    spec = given["spec"] | {"metrics": [with_argos_limit(metric) for metric in given["spec"].get("metrics") or []]}
    try:
        rules = RunRules.of(spec)
    except SpecError as error:
        return _answer(AnalysisStatus(name="run", phase=Phase.ERROR, message=str(error)), [])
    ends = START + timedelta(seconds=given["terminate_at"]) if "terminate_at" in given else None
    run = Run.begin("run", rules, START)
    trace = _play(run, rules, ScriptedProvider(given), ends, START + timedelta(seconds=given.get("until", 3600)))
    return _answer(run.status, trace)


def _play(
    run: Run, rules: RunRules, provider: ScriptedProvider, ends: datetime | None, until: datetime
) -> list[list[Any]]:
    """Measure whatever is due until the run is over; what was measured as [second, metric, phase]."""
    trace: list[list[Any]] = []
    now = START
    while not run.over and now <= until:
        before = run.status
        if ends is not None and now >= ends:
            run.terminate(now)
        else:
            run.record([provider.measure(rule, rules.secrets, now) for rule in run.due(now)], now)
        trace += _measured(before, run.status, now)
        moments = [moment for moment in (run.next_due(), ends) if moment is not None]
        now = min(moments, default=until + timedelta(seconds=1))
    return trace


def _measured(before: AnalysisStatus, after: AnalysisStatus, now: datetime) -> list[list[Any]]:
    return [
        [(now - START) // timedelta(seconds=1), new.name, str(new.measurements[-1].phase)]
        for old, new in zip(before.metrics, after.metrics, strict=True)
        if new.measurements and new.measurements[-1:] != old.measurements[-1:]
    ]


def _answer(status: AnalysisStatus, trace: list[list[Any]]) -> Answer:
    done = status.completed_at
    return {
        "phase": str(status.phase),
        "message": status.message,
        "completed_at": None if done is None else (done - START) // timedelta(seconds=1),
        "measurements": sorted(trace, key=lambda entry: entry[:2]),
        "metrics": {
            metric.name: {
                "phase": str(metric.phase),
                "message": metric.message,
                "retained": len(metric.measurements),
                "dryRun": metric.dry_run,
                **{argos: getattr(metric, ours) for argos, ours in COUNTERS.items()},
            }
            for metric in status.metrics
            if metric.measurements
        },
        "runSummary": _summary(status.run_summary),
        "dryRunSummary": _summary(status.dry_run_summary),
    }


def _summary(summary: Summary) -> dict[str, int]:
    return summary.model_dump()


def same_where_expected(expected: Answer, actual: Answer) -> bool:
    """The dry-run summary is only given for runs with dry-run metrics."""
    return equal(expected, {key: actual.get(key) for key in expected})


FAMILIES = (Family("analysis_run", analysis_run, same_where_expected),)
