"""Drawings of readings: inside their frame for any numbers, a mark for each reading, and words for who does not see."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cli.releases import metric
from tests.unit.cli.screens import EXAMPLES
from tidegate.analysis.status import MetricStatus
from tidegate.contract import ComparedEvent, ComparedPoint
from tidegate.web.plots import LARGE, SMALL, compared_plot, readings_plot, weights_plot

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def numbers(svg: str) -> list[float]:
    """Every coordinate of a drawing."""
    found: list[float] = []
    for element in ElementTree.fromstring(svg).iter():  # noqa: S314  our own
        for key in ("x", "y", "cx", "cy", "x1", "x2", "y1", "y2", "points"):
            found += [float(each) for each in re.findall(r"-?[\d.]+(?:e[+-]?\d+)?", element.get(key, ""))]
    return found


@given(st.lists(NUMBERS, max_size=8), NUMBERS, st.sampled_from(["<", ">=", "=="]))
def test_any_readings_stay_in_the_frame(values: list[float], limit: float, operator: str) -> None:
    drawn = metric("m", limit, *values).model_copy(update={"success_condition": f"result {operator} {limit!r}"})
    for frame in (SMALL, LARGE):
        svg = readings_plot(drawn, frame)
        assert all(-2 <= each <= frame.width for each in numbers(svg))
        assert svg.count('class="mark') == len(values)


def test_a_bad_reading_has_a_mark_of_its_own_and_the_limit_is_drawn() -> None:
    svg = readings_plot(metric("error-rate", 0.01, 0.004, 0.031, "no data"))
    assert [svg.count(f'class="mark {kind}"') for kind in ("good", "bad", "error")] == [1, 1, 1]
    assert svg.count('class="limit"') == 1
    assert "<title>error-rate: newest no data, limit &lt; 0.01, 1 good, 1 bad, 1 error</title>" in svg


def test_nothing_is_drawn_of_nothing() -> None:
    assert "no reading yet" in readings_plot(MetricStatus(name="m", phase="Pending"))


@pytest.mark.parametrize("points", [0, 1, 3])
def test_a_comparison_is_two_lines(points: int) -> None:
    status = EXAMPLES["running"]().status
    at = [each.at for each in status.events]
    event = ComparedEvent(
        name="errors",
        points=tuple(
            ComparedPoint(at=at[n], canary=0.4, stable=None if n else 0.2, harm=0, proof=0) for n in range(points)
        ),
        times=1.25,
        plus=0.1,
        harm_limit=4.6,
        proof_limit=3.0,
    )
    svg = compared_plot(event)
    assert svg.count('class="canary"') == (points > 1)
    assert all(-2 <= each <= LARGE.width for each in numbers(svg))


def test_weights_are_steps() -> None:
    example = EXAMPLES["aborting"]()
    svg = weights_plot(example.status.weights, example.now)
    assert "10 % at 03:20:39 UTC, 0 % at 03:24:09 UTC" in svg
    assert all(-2 <= each <= LARGE.width for each in numbers(svg))
