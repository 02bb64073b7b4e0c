"""A comparison with another setting, to be judged by the same counts: `plus=0.5%`, `errors.times=1.5`, `maxWait=2h`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.analysis.compare.models import BadEvent, Comparison
from tidegate.analysis.compare.settings import ComparisonSettingsError
from tidegate.manifests.providers.compare import factor, fraction, seconds

MARGINS: Final = ("times", "plus")
LEVELS: Final = {"falsePromotion": "false_promotion", "falseAbort": "false_abort"}
DURATIONS: Final = {"warmUp": "warm_up", "minBake": "min_bake", "maxWait": "max_wait", "settle": "settle"}
LONGEST_SETTLE: Final = 300.0
HINT: Final = "plus, times, EVENT.plus, EVENT.times, " + ", ".join((*LEVELS, *DURATIONS))


def varied(wanted: Comparison, setting: str) -> Comparison:
    """The comparison with `name=value`, itself for an empty text. `plus` and `times` alone are of every event.

    Raises ComparisonSettingsError.
    """
    if not setting:
        return wanted
    name, _, value = setting.partition("=")
    try:
        return _varied(wanted, name.strip(), value.strip())
    except ValueError as error:
        raise ComparisonSettingsError(f"{setting}: {error}") from error


def _varied(wanted: Comparison, name: str, value: str) -> Comparison:
    if name in LEVELS:
        level = fraction(value)
        if not 0 < level < 0.5:
            raise ValueError("must be above 0 and below 50%")
        return wanted.model_copy(update={LEVELS[name]: level})
    if name in DURATIONS:
        longest = LONGEST_SETTLE if name == "settle" else float("inf")
        return wanted.model_copy(update={DURATIONS[name]: min(longest, seconds(value))})
    event, _, field = name.rpartition(".")
    if field not in MARGINS:
        raise ValueError(f"there is no setting {name!r} that the same counts can be judged by; there are {HINT}")
    names = [each.name for each in wanted.events]
    if event and event not in names:
        raise ValueError(f"there is no event {event!r}; there are {', '.join(names)}")
    changed = {field: fraction(value) if field == "plus" else _times(value)}
    events = tuple(_with_margin(each, changed) if event in ("", each.name) else each for each in wanted.events)
    return wanted.model_copy(update={"events": events})


def _times(value: str) -> float:
    times = factor(value)
    if times < 1:
        raise ValueError("must be 1 or more")
    return times


def _with_margin(event: BadEvent, changed: Mapping[str, Any]) -> BadEvent:
    margin = event.margin.model_copy(update=dict(changed))
    if margin.times == 1 and margin.plus == 0:
        raise ValueError(f"{event.name}: a margin of 1 x stable + 0 can never be proven")
    return event.model_copy(update={"margin": margin})
