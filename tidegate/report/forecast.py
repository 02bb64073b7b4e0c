"""Text of a forecast: when a release can prove its version, in plain English."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from tidegate.analysis.compare.models import BadEvent, Comparison, Provability
from tidegate.analysis.compare.phrases import margin_text, percent
from tidegate.contract import ComparisonForecast, ReleaseForecast

NOT_PROVABLE: Final = "not-provable"
NO_COMPARISON: Final = "no metric of its analyses compares the canary with stable: there is nothing to forecast"
SOURCES: Final = {"datadog": "Datadog", "prometheus": "Prometheus"}


def forecast_sentences(release: ReleaseForecast) -> Iterator[str]:
    """Yield the sentences that are said before a release: when each comparison is through, and what it lacks."""
    for each in release.comparisons:
        yield f"{each.metric}: {headline(each)}"
        if warning := not_provable(each):
            yield warning


def headline(compared: ComparisonForecast) -> str:
    """Traffic, the time that a good version needs, and the event that takes longest; or the reason for no forecast."""
    wanted, found = compared.wanted, compared.forecast
    if wanted is None or found is None:
        return f"no forecast: {compared.error}"
    return f"{_traffic(wanted, found)}. {_arrival(found)}"


def _traffic(wanted: Comparison, found: Provability) -> str:
    event, rate = next(
        ((each, rate) for each, rate in zip(wanted.events, found.rates, strict=True) if each.slower_than is None),
        (wanted.events[0], found.rates[0]),
    )
    return f"{found.load:.3g} requests/s, {percent(rate)} {event.name}"


def _arrival(found: Provability) -> str:
    if found.seconds is None:
        return f"Not even within a day is a version as good as stable through; slowest: {found.slowest}."
    return (
        f"A version as good as stable is through in about {minutes(found.seconds)} (half of them; 9 of 10 in twice "
        f"that); slowest: {found.slowest}."
    )


def not_provable(compared: ComparisonForecast) -> str:
    """Warn that `maxWait` does not suffice, with everything that would; empty where it suffices."""
    wanted, found = compared.wanted, compared.forecast
    if wanted is None or found is None or found.provable:
        return ""
    event = next(each for each in wanted.events if each.name == found.slowest)
    needs = "more than a day" if found.seconds is None else minutes(found.seconds)
    helps = "; ".join(_remedies(wanted, found, event)) or "nothing helps but more traffic"
    return (
        f"warning: {compared.metric}: at {found.load:.3g} requests/s {event.name} below {margin_text(event.margin)} "
        f"takes {needs}, and maxWait is {minutes(wanted.max_wait)}: then a person decides ({helps}) [{NOT_PROVABLE}]"
    )


def _remedies(wanted: Comparison, found: Provability, event: BadEvent) -> Iterator[str]:
    if found.plus is not None:
        yield f"plus: {100 * found.plus:.3g}% for {event.name} takes {minutes(wanted.max_wait / 2)}"
    if found.max_wait is not None:
        yield f"maxWait: {math.ceil(found.max_wait / 60)}m is enough for half of them"
    if found.weight is not None:
        yield f"a first weight of {percent(found.weight)} is enough"


def forecast_view(release: ReleaseForecast) -> Iterator[tuple[int, str]]:
    """Yield everything there is to say, each sentence with the number of spaces before it."""
    weights = f", weights {_weights(release)}" if release.weights else ""
    yield 0, f"{release.namespace}/{release.name}{weights}"
    for note in release.notes:
        yield 2, f"note: {note}"
    if not release.comparisons:
        yield 2, NO_COMPARISON
    for each in release.comparisons:
        yield 0, f"{each.metric} ({', '.join(each.gates)}): {headline(each)}"
        yield from ((2, text) for text in _details(release, each))
        if warning := not_provable(each):
            yield 0, warning


def _weights(release: ReleaseForecast) -> str:
    return ", ".join(f"{100 * weight.share:.3g}" for weight in release.weights) + " %"


def _details(release: ReleaseForecast, compared: ComparisonForecast) -> Iterator[str]:
    wanted, found = compared.wanted, compared.forecast
    if wanted is None or found is None:
        return
    if found.seconds is not None and release.pauses > found.seconds:
        yield f"The timed pauses of the steps take longer: {minutes(release.pauses)}."
    for event, rate, requests in zip(wanted.events, found.rates, found.requests, strict=True):
        yield _event(event, rate, requests)
    yield (
        f"It asks {SOURCES.get(compared.source, compared.source)} about {compared.readings:,} times for "
        f"{compared.queries} series."
    )
    yield from (f"note: {note}" for note in compared.notes)


def _event(event: BadEvent, rate: float, requests: float) -> str:
    if requests <= 0:
        return f"{event.name}: no requests in the hour before, so this cannot be proven"
    slower = f" slower than {event.slower_than * 1000:.4g} ms" if event.slower_than is not None else ""
    return f"{event.name}: stable has {percent(rate)}{slower}; to be proven: below {margin_text(event.margin)}"


def minutes(seconds: float) -> str:
    """Whole minutes, with hours from two hours on."""
    whole = max(1, round(seconds / 60))
    if whole < 120:
        return f"{whole} min"
    return f"{whole // 60} h {whole % 60} min" if whole % 60 else f"{whole // 60} h"
