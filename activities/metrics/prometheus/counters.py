"""Growth of pods' counters in each bucket: raw values at aligned times become counts that do not overlap.

`rate()` and `increase()` of PromQL extrapolate to the edges of a window, and windows overlap: they are no counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

LOOKBACK: Final = 300
"""Seconds for which the last value of a pod that vanished stands for it, as in Prometheus itself."""

Values = Mapping[int, float]
"""Raw values of a counter by unix time in seconds."""


class PodCounters(NamedTuple):
    """Raw values of one pod: its requests, and the bad ones among them."""

    requests: Values
    bad: Values


def increases(values: Values, times: Sequence[int], *, counts_first: bool) -> dict[int, float]:
    """Growth of a counter up to each of `times` since the one before, where that is known.

    A counter that goes back has started anew: all of it is new. The first value counts only with `counts_first`, and
    never at the first of the times. One that is missing adds nothing. Growth over more than `LOOKBACK` is left out.
    """
    found: dict[int, float] = {}
    last: tuple[int, float] | None = None
    for index, at in enumerate(times):
        value = values.get(at)
        if value is None:
            if last is not None and at - last[0] <= LOOKBACK:
                found[at] = 0.0
            continue
        if last is not None:
            is_long = at - last[0] > LOOKBACK
            found[at] = 0.0 if is_long else value - last[1] if value >= last[1] else value
        elif index > 0:
            found[at] = value if counts_first else 0.0
        last = at, value
    return found


def filled(bad: Values, requests: Values) -> dict[int, float]:
    """Values of a counter that has no series before it first fires: 0 where its pod has requests, and then the last."""
    found: dict[int, float] = {}
    last = 0.0
    for at in sorted({*requests, *bad}):
        last = bad.get(at, last)
        if at in requests or at in bad:
            found[at] = last
    return found


def version_counts(
    pods: Mapping[str, PodCounters], times: Sequence[int], known: Collection[str], *, first_of_all: bool
) -> dict[int, tuple[float, float]]:
    """Requests and bad ones of all pods of a version up to each of `times`; none where no pod of it is known.

    `known` are pods that were there before the times. The first value of another one counts: all of it is new. Of the
    pods that come first of all it counts only with `first_of_all`, as the server may have begun to look just then.
    """
    first = min((min(pod.requests) for pod in pods.values() if pod.requests), default=0)
    totals: dict[int, tuple[float, float]] = {}
    for name, pod in sorted(pods.items()):
        if not pod.requests:
            continue
        counts_first = name not in known and (first_of_all or min(pod.requests) > first)
        grown = increases(pod.requests, times, counts_first=counts_first)
        worse = increases(filled(pod.bad, pod.requests), times, counts_first=counts_first)
        for at, requests in grown.items():
            before = totals.get(at, (0.0, 0.0))
            totals[at] = before[0] + requests, before[1] + worse.get(at, 0.0)
    return totals
