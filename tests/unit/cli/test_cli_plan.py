"""What `plan` says: plain words, within a terminal, and an exit code for a script."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.analysis.compare.test_provable import EVENTS, WEIGHTS, hour
from tidegate.analysis.compare.models import Comparison
from tidegate.analysis.compare.provable import provable
from tidegate.cli.exits import ExitCode
from tidegate.cli.plan import WIDTH, code_of, forecast_lines
from tidegate.contract import ComparisonForecast, ReleaseForecast
from tidegate.report import forecast_sentences

GATES = ("background analysis", "step 4")


def compared(load: float = 50, errors: float = 0.005, **fields: Any) -> ComparisonForecast:
    slower = {"slow90": 0.312, "slow99": 0.9, "stuck": 3.6}
    wanted = Comparison(
        events=tuple(event.model_copy(update={"slower_than": slower.get(event.name)}) for event in EVENTS)
    )
    found = provable(wanted, hour(load, errors), WEIGHTS)
    numbers = {"wanted": wanted, "forecast": found, "readings": 84, "queries": 6, **fields}
    return ComparisonForecast(metric="as-good-as-stable", gates=GATES, source="datadog", **numbers)


def failed(error: str, *, refused: bool) -> ComparisonForecast:
    return ComparisonForecast(metric="other", gates=GATES, source="datadog", error=error, refused=refused)


def release(*comparisons: ComparisonForecast, **fields: Any) -> ReleaseForecast:
    return ReleaseForecast(
        namespace="payments", name="checkout", weights=tuple(WEIGHTS), comparisons=comparisons, **fields
    )


def said(*comparisons: ComparisonForecast, **fields: Any) -> str:
    return "\n".join(forecast_lines(release(*comparisons, **fields), WIDTH))


def test_a_forecast_says_when_a_good_version_is_through_and_what_it_costs() -> None:
    assert said(compared()) == (
        """\
payments/checkout, weights 10, 25, 50 %
as-good-as-stable (background analysis, step 4): 50 requests/s, 0.5 % errors. A
  version as good as stable is through in about 17 min (half of them; 9 of 10 in
  twice that); slowest: errors.
  errors: stable has 0.5 %; to be proven: below 1.25 x stable + 0.1 %
  slow90: stable has 10 % slower than 312 ms; to be proven: below 1.5 x stable
  slow99: stable has 1 % slower than 900 ms; to be proven: below 2 x stable
  stuck: stable has 0.000278 % slower than 3600 ms; to be proven: below 2 x
    stable + 0.2 %
  It asks Datadog about 84 times for 6 series."""
    )


def test_what_is_not_provable_is_a_warning_with_what_would_help() -> None:
    text = " ".join(said(compared(5)).split())
    assert "warning: as-good-as-stable: at 5 requests/s errors below 1.25 x stable + 0.1 % takes 114 min" in text
    assert "maxWait is 60 min: then a person decides" in text
    assert "plus: 0.752% for errors takes 30 min; maxWait: 114m is enough for half of them" in text
    assert text.count("[not-provable]") == 1
    assert code_of(release(compared(5)).comparisons) is ExitCode.OK


def test_beside_a_start_the_same_is_said_in_short() -> None:
    good, poor = list(forecast_sentences(release(compared()))), list(forecast_sentences(release(compared(5))))
    assert [line.startswith("as-good-as-stable: ") for line in good] == [True]
    assert good[0].removeprefix("as-good-as-stable: ") in " ".join(said(compared()).split())
    assert poor[1].endswith("[not-provable]")


@pytest.mark.parametrize("load", [0.001, 0.5, 5, 50, 5000])
def test_no_line_is_wider_than_a_terminal(load: float) -> None:
    assert max(map(len, said(compared(load), pauses=7200).splitlines())) <= WIDTH


def test_a_service_without_traffic_is_not_through_within_a_day() -> None:
    text = " ".join(said(compared(0.001)).split())
    assert "Not even within a day is a version as good as stable through" in text
    assert "takes more than a day" in text


def test_pauses_that_take_longer_are_named() -> None:
    assert "The timed pauses of the steps take longer: 2 h 5 min." in said(compared(), pauses=7500)
    assert "pauses" not in said(compared(), pauses=60)


def test_an_event_without_requests_is_not_taken_for_a_rate() -> None:
    one = compared()
    assert one.forecast is not None
    requests = (*one.forecast.requests[:3], 0.0)
    silent = one.model_copy(update={"forecast": one.forecast.model_copy(update={"requests": requests})})
    assert "stuck: no requests in the hour before, so this cannot be proven" in said(silent)


def test_a_source_that_refuses_is_cited_and_is_a_refusal() -> None:
    error = "Datadog refuses (400) slow90: count(v: v>0.3):trace.http.request{...}: unknown function"
    text = " ".join(said(compared(), failed(error, refused=True)).split())
    assert f"other (background analysis, step 4): no forecast: {error}" in text
    assert code_of(release(compared(), failed(error, refused=True)).comparisons) is ExitCode.REFUSED


def test_a_source_without_an_answer_is_an_error() -> None:
    assert (
        code_of(release(failed("no worker of datadog answered in time", refused=False)).comparisons)
        is ExitCode.INTERNAL
    )


def test_a_release_that_compares_nothing_is_said_to() -> None:
    assert "no metric of its analyses compares the canary with stable" in " ".join(said().split())
    assert code_of(release().comparisons) is ExitCode.OK


def test_notes_reach_the_person() -> None:
    text = " ".join(said(compared(notes=("12 % of the requests are of other versions",)), notes=("a note",)).split())
    assert "note: a note" in text
    assert "note: 12 % of the requests are of other versions" in text
