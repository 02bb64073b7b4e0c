"""Dispersion and spread of stable: what is common costs nothing, what comes in clusters or differs by pod does."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from tests.unit.analysis.compare.traffic import poisson
from tidegate.analysis.compare.dispersion import by_groups, by_time
from tidegate.analysis.compare.models import HourRow, VersionCounts

Rate = Callable[[int, int], float]


def groups(rate: Rate, *, size: int = 1, requests: int = 200, pods: int = 8) -> dict[str, list[HourRow]]:
    """Pods whose bad requests come in clusters of `size`, at a rate by pod and bucket."""
    draw, found = random.Random(3), {}
    for pod in range(pods):
        bad = [size * poisson(draw, requests * rate(pod, at) / size) for at in range(360)]
        found[f"pod{pod}"] = [
            HourRow(start=10 * at, counts=(VersionCounts(requests, min(requests, one)),)) for at, one in enumerate(bad)
        ]
    return found


def fleet(pods: dict[str, list[HourRow]]) -> list[HourRow]:
    """All pods together."""
    return [_total(rows) for rows in zip(*pods.values(), strict=True)]


def _total(rows: Sequence[HourRow]) -> HourRow:
    counts = [one for row in rows for one in row.counts if one is not None]
    total = VersionCounts(sum(one.requests for one in counts), sum(one.bad for one in counts))
    return HourRow(start=rows[0].start, counts=(total,))


def test_independent_requests_have_none() -> None:
    pods = groups(lambda _pod, _at: 0.01)
    assert by_groups(pods, 0, 10) == (1, pytest.approx(0, abs=0.05))
    assert by_time(fleet(pods), 0).phi == 1


def test_a_wave_of_the_whole_service_costs_nothing_where_pods_are_known() -> None:
    pods = groups(lambda _pod, at: 0.01 * (1 + 0.9 * math.sin(at / 2)))
    assert by_groups(pods, 0, 10).phi == 1
    assert by_time(fleet(pods), 0).phi > 1.5


def test_clusters_are_seen() -> None:
    pods = groups(lambda _pod, _at: 0.01, size=5)
    assert by_groups(pods, 0, 10).phi == pytest.approx(5, rel=0.25)
    assert by_time(fleet(pods), 0).phi == pytest.approx(5, rel=0.25)


def test_a_pod_that_is_bad_for_two_minutes_shows_in_longer_blocks() -> None:
    pods = groups(lambda pod, at: 0.004 * (2.0 if (at // 12 + pod) % 4 == 0 else 1.0))
    short = by_groups({name: rows[::12] for name, rows in pods.items()}, 0, 120).phi
    assert by_groups(pods, 0, 10).phi > max(1.2, short)


@pytest.mark.parametrize("difference", [0.1, 0.3])
def test_pods_that_differ_have_a_spread(difference: float) -> None:
    pods = groups(lambda pod, _at: 0.01 * math.exp(difference if pod % 2 else -difference), requests=500)
    assert by_groups(pods, 0, 10).spread == pytest.approx(difference * math.sqrt(8 / 7), rel=0.15)


def test_a_spread_is_not_believed_where_too_little_happens() -> None:
    assert by_groups(groups(lambda pod, _at: 0.0001 * pod, requests=100), 0, 10).spread == 0


def test_nothing_known_is_no_dispersion() -> None:
    assert by_time([], 0) == (1, 0)
    assert by_groups({"one": fleet(groups(lambda _pod, _at: 0.01))}, 0, 10) == (1, 0)
    assert by_groups(groups(lambda _pod, _at: 0.0), 0, 10) == (1, 0)
    assert by_time([HourRow(start=0, counts=(None,))], 0) == (1, 0)
