"""Settings of a sweep: another margin, level or time, judged by the same counts."""

from __future__ import annotations

import pytest

from tests.unit.analysis.compare.traffic import wanted
from tidegate.analysis.compare.settings import ComparisonSettingsError
from tidegate.analysis.compare.variations import varied


def test_a_margin_is_that_of_every_event_or_of_one() -> None:
    assert {event.margin.plus for event in varied(wanted(), "plus=0.5%").events} == {0.005}
    one = varied(wanted(), "errors.times=1.5").events
    assert [event.margin.times for event in one] == [1.5, 1.5, 2], "those of slow90 and slow99 are their own"
    assert one[1:] == wanted().events[1:]


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("falseAbort=5%", "false_abort", 0.05),
        ("falsePromotion = 0.1", "false_promotion", 0.1),
        ("warmUp=3m", "warm_up", 180),
        ("maxWait=2h", "max_wait", 7200),
        ("settle=1h", "settle", 300),
    ],
)
def test_a_level_or_a_time_is_that_of_the_comparison(setting: str, field: str, value: float) -> None:
    assert varied(wanted(), setting) == wanted().model_copy(update={field: value})


def test_no_setting_is_the_comparison_as_it_is_written() -> None:
    assert varied(wanted(), "") == wanted()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("bucket=30s", "no setting 'bucket' that the same counts can be judged by"),
        ("stuck.plus=1%", "no event 'stuck'; there are errors, slow90, slow99"),
        ("plus=much", "is no number"),
        ("times=0.5", "must be 1 or more"),
        ("falseAbort=60%", "below 50%"),
        ("slow90.times=1", "slow90: a margin of 1 x stable"),
        ("maxWait=long", "maxWait=long"),
    ],
)
def test_what_is_no_setting_is_refused_with_what_there_is(setting: str, message: str) -> None:
    with pytest.raises(ComparisonSettingsError, match=message):
        varied(wanted(), setting)
