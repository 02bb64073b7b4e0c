"""Manifests into the request of a backtest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from tidegate.analysis.compare.models import planned_weights
from tidegate.analysis.compare.pace import hour_series, series_of
from tidegate.analysis.compare.settings import ComparisonSettingsError, comparison_of
from tidegate.analysis.compare.variations import varied
from tidegate.analysis.compare.warming import SERIES
from tidegate.analysis.rules import RunRules
from tidegate.analysis.spec import SpecError, build_run_spec
from tidegate.canary.weights import planned_shares
from tidegate.client.errors import RefusedError
from tidegate.client.standalone import analysis_request
from tidegate.client.translation import malformed
from tidegate.contract import (
    MOST_CHANGES,
    MOST_HOURS,
    BacktestRequest,
    Document,
    ErrorType,
)
from tidegate.manifests.analysis_template import Metric
from tidegate.manifests.decode import decode_object
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import ManifestError
from tidegate.manifests.providers.compare import AUTO, Compare

_WEEK = 7 * 86_400
_WINDOWS = 4  # of an hour each, in which a change is looked at
_REMEDY = "give a template with a metric of plugin.tidegate/compare, and its Rollout if there is one"


def backtest_request(
    templates: Sequence[Mapping[str, Any]],
    rollout: Mapping[str, Any] | None,
    arguments: Mapping[str, str],
    *,
    namespace: str,
    since: timedelta,
    settings: Sequence[str] = (),
) -> BacktestRequest:
    """The request for a backtest of the comparisons of a Rollout's analyses, or of templates alone.

    `arguments` go before those that the Rollout gives. `settings` are those of a sweep, each `name=value`. Raises
    RefusedError for what no run could carry out, where nothing compares, and for a setting that is none.
    """
    try:
        specs = tuple(_specs(templates, rollout, arguments, namespace))
        request = BacktestRequest(
            namespace=namespace,
            rollout=str((rollout or {}).get("metadata", {}).get("name", "")),
            specs=specs,
            weights=() if rollout is None else planned_weights(_shares(rollout)),
            since=since.total_seconds(),
            settings=tuple(settings),
        )
        _check(request)
    except ValidationError as error:
        raise malformed(error) from error
    except (SpecError, ManifestError, ComparisonSettingsError) as error:
        raise RefusedError(str(error), "", ErrorType.INVALID_SPEC) from error
    return request


def _shares(rollout: Mapping[str, Any]) -> list[float]:
    canary = from_objects([rollout]).rollout().model.spec.strategy.canary
    return planned_shares(canary.steps, canary.max_weight()) if canary is not None else []


def _specs(
    templates: Sequence[Mapping[str, Any]],
    rollout: Mapping[str, Any] | None,
    arguments: Mapping[str, str],
    namespace: str,
) -> Iterator[Document]:
    """Specs of all AnalysisRuns below 100 %. Raises SpecError, ManifestError and RefusedError."""
    if rollout is None:
        yield analysis_request(templates, arguments, namespace=namespace).spec
        return
    for block in _analyses(rollout):
        given = [{"name": name, "value": value} for name, value in arguments.items()]
        others = [each for each in block.get("args") or () if each.get("name") not in arguments]
        analysis = {**block, "args": [*others, *given]}
        yield build_run_spec(
            analysis=analysis, templates=templates, rollout=rollout, stable_hash="stable", latest_hash="canary"
        )


def _analyses(rollout: Mapping[str, Any]) -> Iterator[Document]:
    canary = ((rollout.get("spec") or {}).get("strategy") or {}).get("canary") or {}
    if canary.get("analysis"):
        yield canary["analysis"]
    yield from (step["analysis"] for step in canary.get("steps") or () if step.get("analysis"))


def _comparisons(request: BacktestRequest) -> Iterator[tuple[Compare, bool]]:
    """Settings of each comparison, and whether arguments from Secrets are still to be put in."""
    for rules in map(RunRules.of, request.specs):
        for rule in rules.metrics:
            if (settings := decode_object(Metric, rule.document, rule.name).provider.compare) is not None:
                yield settings, bool(rules.secrets)


def _check(request: BacktestRequest) -> None:
    """Raise RefusedError where nothing compares, and ComparisonSettingsError for a setting that none of them has."""
    found = list(_comparisons(request))
    if not found:
        raise RefusedError("no metric compares the canary with stable", _REMEDY, ErrorType.INVALID_SPEC)
    for settings in (settings for settings, has_secrets in found if not has_secrets):
        wanted = comparison_of(settings)
        for setting in request.settings:
            varied(wanted, setting)


def most_series(request: BacktestRequest) -> int:
    """Number of series that a backtest asks for at most, all of its comparisons together."""
    total = 0
    for settings, _ in _comparisons(request):
        events = [event.name for event in settings.wanted_events()]
        learned = SERIES if settings.warm_up == AUTO else 0
        change = 2 + hour_series(events) + learned + _WINDOWS * series_of(events)
        total += math.ceil(request.since / _WEEK) + MOST_CHANGES * change
        total += MOST_HOURS * (hour_series(events) + series_of(events))
    return total
