"""Weights of a past release, made of the shares that were answered."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.unit.analysis.compare.traffic import bucket_row, row, wanted
from tidegate.analysis.compare.models import CountRow, planned_weights
from tidegate.analysis.compare.reconstruction import past_weights

PLANNED = planned_weights([10, 25, 50])


def release(*spells: tuple[float, int], load: float = 50, seed: int = 1) -> list[CountRow]:
    """Buckets of spells, each a share and its length in seconds."""
    draw, rows, at = random.Random(seed), [], 0
    for share, seconds in spells:
        for _ in range(seconds // 10):
            rows.append(bucket_row(draw, at, load, share, (1, 1, 1)))
            at += 10
    return rows


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("load", [5, 50, 500])
def test_the_weights_of_a_promoted_release_are_found(load: float, seed: int) -> None:
    rows = release((0.1, 600), (0.25, 600), (0.5, 900), (1, 300), load=load, seed=seed)
    found = past_weights(wanted(), rows, PLANNED)
    assert [(weight.share, weight.index, weight.last) for weight in found.weights] == [
        (0.1, 0, False),
        (0.25, 1, False),
        (0.5, 2, True),
    ]
    assert [weight.since for weight in found.weights] == pytest.approx([0, 600, 1200], abs=60)
    assert found.until == pytest.approx(2100, abs=60)


def test_without_a_plan_the_share_itself_is_the_weight_and_the_one_before_all_is_last() -> None:
    found = past_weights(wanted(), release((0.2, 600), (0.4, 600), (1, 300)), ())
    assert [weight.share for weight in found.weights] == pytest.approx([0.2, 0.4], rel=0.05)
    assert [weight.last for weight in found.weights] == [False, True]


def test_an_aborted_release_never_had_its_last_weight() -> None:
    rows = release((0.1, 600), (0.25, 300), (0, 900))
    found = past_weights(wanted(), rows, PLANNED)
    assert [(weight.share, weight.last) for weight in found.weights] == [(0.1, False), (0.25, False)]
    assert found.until == pytest.approx(900, abs=60)


def test_a_change_within_a_minute_begins_no_later_than_it_did() -> None:
    """Warm-up covers what is taken for the new weight too early; what is taken too late would be judged wrongly."""
    found = past_weights(wanted(), release((0.1, 630), (0.5, 900), load=500), PLANNED)
    assert [weight.since for weight in found.weights] == [0, 600]


def test_chance_makes_no_weights() -> None:
    for seed in range(30):
        found = past_weights(wanted(), release((0.1, 3600), load=20, seed=seed), PLANNED)
        assert [weight.share for weight in found.weights] == [0.1], seed


def test_a_canary_alone_or_absent_has_no_weights() -> None:
    assert past_weights(wanted(), release((0, 600)), PLANNED).weights == ()
    assert past_weights(wanted(), release((1, 600)), PLANNED).weights == ()
    assert past_weights(wanted(), [], PLANNED).weights == ()
    one: Sequence[tuple[float | None, ...]] = [(None, None, 10.0, None)] * 3
    assert past_weights(wanted(), [row(0, *one)], PLANNED).weights == ()
