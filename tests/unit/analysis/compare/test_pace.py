"""How often a comparison reads its counts."""

from __future__ import annotations

import pytest

from tidegate.analysis.compare.pace import PACE


def counted(seconds: float, changes: list[float]) -> int:
    """Readings of a release, one by one: each call begins when the one before has ended."""
    number, now, ends = 0, 0.0, PACE.whole
    while now < seconds:
        number += 1
        wait = PACE.wait(now - max(change for change in changes if change <= now), alarmed=False)
        if now + wait > ends:
            ends = now + PACE.whole
        else:
            now += wait
    return number


@pytest.mark.parametrize(
    ("seconds", "changes"), [(60, [0]), (600, [0]), (1200, [0, 600]), (3600, [0, 600, 1200]), (7200, [0, 600, 1200])]
)
def test_the_number_of_readings_is_that_of_a_release(seconds: float, changes: list[float]) -> None:
    assert PACE.readings(seconds, len(changes)) == pytest.approx(counted(seconds, changes), abs=2 * len(changes))


def test_an_alarm_is_looked_at_often() -> None:
    assert (PACE.wait(1000, alarmed=True), PACE.wait(10, alarmed=False), PACE.wait(1000, alarmed=False)) == (10, 10, 30)
