"""The comparison's settings as numbers, the counts that it reads, and the judgement that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

ERRORS: Final = "errors"
"""Name of the event that the guard looks at. Shares of the traffic are taken of its requests."""


class CompareModel(BaseModel):
    """Frozen value that travels: unknown fields are ignored, infinities are written as such."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants", defer_build=True)


class Margin(CompareModel):
    """Edge of what is tolerated: the canary's rate of bad requests at `times` x stable's + `plus` (a fraction)."""

    times: float
    plus: float


class BadEvent(CompareModel):
    """One kind of bad request with its margin.

    `early` are the margins to prove at the first, second, ... weight; empty: the margin itself. `weight` is the share
    of the alarm budget relative to the other events, None the default share. `slower_than` is the threshold in seconds
    of a latency event, None where it has none.
    """

    name: str
    margin: Margin
    early: tuple[Margin, ...] = ()
    weight: float | None = None
    slower_than: float | None = None


class OnUnfair(StrEnum):
    """Reaction to a share of the traffic that is not what the weight says."""

    HOLD = "hold"
    IGNORE = "ignore"


GUARD: Final = Margin(times=2, plus=0.05)


class Comparison(CompareModel):
    """Settings of a comparison. Fractions and seconds.

    `false_abort` is the share of this comparison where a release has several. `lost` False: the share of the traffic
    that the canary answers proves nothing, as in an experiment. `alone`: the version has all of the traffic, and its
    errors, the only event, are held against the hour before.
    """

    events: tuple[BadEvent, ...]
    false_promotion: float = 0.05
    false_abort: float = 0.01
    bucket: int = 10
    warm_up: float = 60
    settle: float = 60
    min_bake: float = 600
    max_wait: float = 3600
    guard: Margin | None = GUARD
    on_unfair: OnUnfair = OnUnfair.HOLD
    lost: bool = True
    alone: bool = False


class Counts(NamedTuple):
    """Requests of both versions in one bucket and the bad ones among them. Fractions are possible.

    None where the source has no point: of `canary` or `stable` it means unknown, of a bad count it means 0.
    """

    canary: float | None = None
    canary_bad: float | None = None
    stable: float | None = None
    stable_bad: float | None = None


class CountRow(CompareModel):
    """One bucket of both versions from `start` (seconds since 1970, on the grid), with one `Counts` for each event."""

    start: int
    counts: tuple[Counts, ...]


class VersionCounts(NamedTuple):
    """Requests of one version in one bucket and the bad ones among them."""

    requests: float
    bad: float


class HourRow(CompareModel):
    """One bucket of stable, or of a group of its pods, in the hour before; None where an event has no point."""

    start: int
    counts: tuple[VersionCounts | None, ...]


class Weight(CompareModel):
    """A weight that took effect in the data plane at `since`; a weight of 0 ends the one before.

    `share` is a fraction. `index` counts the weights above 0 of this release from 0. `last` marks the last one before
    100 %. Without pods (0) nothing is known of them.
    """

    since: float
    share: float
    canary_pods: int = 0
    stable_pods: int = 0
    index: int = 0
    last: bool = False


def planned_weights(percents: Sequence[float]) -> tuple[Weight, ...]:
    """Weights of a Rollout in their order, given in percent; when they begin is not known."""
    return tuple(
        Weight(since=0, share=percent / 100, index=index, last=index == len(percents) - 1)
        for index, percent in enumerate(percents)
    )


class DecisionPoint(CompareModel):
    """Time of a judgement (seconds since 1970), weight in force, and how old a bucket is when it counts."""

    now: float
    first_traffic: float
    weight: Weight | None
    settle: float = 60


class Ruling(StrEnum):
    """Outcome of a look at the evidence."""

    ABORT = "abort"
    CLEAR = "clear"
    WAIT = "wait"
    UNDECIDED = "undecided"


class EventNumbers(CompareModel):
    """Totals of one event: counts of warm buckets, and ln E of harm, promise and of this weight's margin."""

    name: str
    canary: float
    canary_bad: float
    stable: float
    stable_bad: float
    harm: float
    promise: float
    here: float


class Judgement(CompareModel):
    """Ruling, the event it is about (`lost`, `share` and `data` where it is none), and the sentence for people.

    `alarm`, `guard` and `lost` are ln E, each with its share of the false aborts. `share` is what the canary answers of
    what the weight says, None before any bucket. `seconds` is the time that the counts cover.
    """

    ruling: Ruling
    event: str
    sentence: str
    events: tuple[EventNumbers, ...]
    alarm: float
    guard: float
    lost: float
    share: float | None
    seconds: float


class Provability(CompareModel):
    """Forecast for a version as good as stable, from the hour before.

    `load` is in requests a second, `rates` and `requests` are stable's per event, `seconds` is the time half of such
    versions need, None when it is beyond a day. `slowest` names the event that takes longest. `plus` and `max_wait` are
    what would make it provable within half of `max_wait` and within `max_wait`, None where it is provable or nothing
    helps.
    `weight` is the share at which it would be provable as the only weight.
    """

    load: float
    rates: tuple[float, ...]
    requests: tuple[float, ...] = ()
    seconds: float | None
    slowest: str
    provable: bool
    plus: float | None = None
    max_wait: float | None = None
    weight: float | None = None
