"""The picture of a release: a PNG that opens, whatever the names, numbers and times in it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from activities.charts import MAX_CURVES, draw
from tidegate.analysis.status import Phase
from tidegate.contract import Chart, ComparedCurves, ComparedEvent, ComparedPoint, Curve, Limit, LimitKind, Point

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RED, GREEN = (214, 39, 40), (44, 160, 44)  # matplotlib's tab:red and tab:green


def curve(*values: float | None, verdict: Phase = Phase.SUCCESSFUL, limit: float = 0.5, name: str = "errors") -> Curve:
    points = (
        Point(at=START + timedelta(minutes=number), value=value, verdict=verdict) for number, value in enumerate(values)
    )
    return Curve(
        gate="gate",
        metric=name,
        points=tuple(points),
        limits=(Limit(text="success: result", value=limit, kind=LimitKind.SUCCESS),),
    )


def drawn(*curves: Curve, weights: tuple[tuple[datetime, int], ...] = ((START, 10),)) -> Image.Image:
    image = Image.open(io.BytesIO(draw(Chart(title="payments/checkout", curves=curves, weights=weights))))
    assert image.format == "PNG"
    return image.convert("RGB")


def holds(image: Image.Image, colour: tuple[int, int, int]) -> bool:
    found = image.getcolors(maxcolors=image.width * image.height) or []
    return colour in [each for _, each in found]


def test_every_curve_has_a_panel() -> None:
    one, three = drawn(curve(0.1, 0.2)), drawn(*[curve(0.1, 0.2)] * 3)
    assert one.width == three.width
    assert three.height > one.height


def test_verdicts_have_colours() -> None:
    good = drawn(curve(0.1, 0.2))
    assert holds(good, GREEN)
    assert not holds(good, RED)
    assert holds(drawn(curve(0.7, 0.9, verdict=Phase.FAILED)), RED)


def test_a_release_with_very_many_metrics_is_still_one_page() -> None:
    assert drawn(*[curve(0.1)] * (MAX_CURVES + 5)).height == drawn(*[curve(0.1)] * MAX_CURVES).height


@pytest.mark.parametrize("name", ["a$b_{c", "\\frac", "x" * 5000, "naïve\x00\n☃", "$"])
def test_no_name_is_a_formula(name: str) -> None:
    assert drawn(curve(0.1, name=name)).height


@settings(max_examples=6, deadline=None)
@given(st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=0, max_size=4), st.none() | st.floats(0, 100))
def test_any_evidence_can_be_drawn(logs: list[float], rate: float | None) -> None:
    points = tuple(ComparedPoint(at=START, canary=rate, stable=rate, harm=log, proof=-log) for log in logs)
    event = ComparedEvent(name="err$rs", points=points, times=1.25, plus=0.1, harm_limit=4.6, proof_limit=3.0)
    chart = Chart(title="a", comparisons=(ComparedCurves(gate="g", metric="m", events=(event,) * 9),))
    assert Image.open(io.BytesIO(draw(chart))).height


@settings(max_examples=8, deadline=None)
@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=5))
def test_any_readings_can_be_drawn(values: list[float | None]) -> None:
    assert drawn(curve(*values), weights=()).height
