"""The account of a release, drawn."""

from __future__ import annotations

from rich.text import Text

from tests.unit.report.accounts import BESIDE, GATE, at, event, failed, gate, metric, release, rolled_back
from tidegate.analysis.status import Measurement, Phase
from tidegate.cli.explain import explanation_view
from tidegate.contract import ReleaseStatus, Waiting
from tidegate.report import explain


def drawn(status: ReleaseStatus) -> str:
    lines: list[Text] = explanation_view(explain(status))
    return "\n".join(line.plain for line in lines)


def test_verdict_and_reason_come_first_then_each_gate_with_what_followed() -> None:
    conditions = {"success_condition": "result < 0.01", "failure_condition": "result >= 0.05"}
    asked = failed().model_copy(update=conditions)
    readings = tuple(each.model_copy(update={"query": "errors / hits"}) for each in asked.measurements)
    bad = asked.model_copy(update={"measurements": readings, "message": "Argo's text"})
    assert drawn(rolled_back(gate(Phase.FAILED, bad))) == (
        """\
✖ payments/checkout revision 2 was rolled back at 10 %: error-rate is bad (failed (2) > failureLimit (1)): 0.3 seen

Step 2 (analysis) checkout-abc-2-1  ✖ Failed  at 10 %  2026-03-01 12:01:00 - 12:04:00 UTC
  ✖ error-rate is bad (failed (2) > failureLimit (1)): 0.3 seen
    success: result < 0.01
    failure: result >= 0.05
    query:
      errors / hits
    12:02:00 - 12:02:00 (0.0s)  ✖ Failed  0.2  0.2 seen
    12:04:00 - 12:04:00 (0.0s)  ✖ Failed  0.3  0.3 seen
  then the release (UTC):
    12:04:00  aborted
    12:04:06  0 % of the traffic to the canary, 100 % to stable (back to stable)
    12:04:12  incident INC1: https://now/INC1
    12:05:00  done: canary pods down"""
    )


def test_an_ending_that_no_gate_brought_about_stands_by_itself() -> None:
    text = drawn(rolled_back(cause=""))
    assert "\n\nHow it ended (UTC):\n  12:04:00  aborted\n" in text


def test_a_gate_in_the_background_says_during_which_step_it_was_judged() -> None:
    text = drawn(rolled_back(gate(Phase.FAILED, failed(), name=BESIDE, started_at=at(0)), cause=BESIDE))
    assert f"Background analysis {BESIDE}, during step 2 (analysis)  ✖ Failed  at 10 %" in text


def test_what_has_no_time_keeps_its_column() -> None:
    unsure, held = metric(phase=Phase.INCONCLUSIVE), event(4, "RolloutPaused", analysis=GATE)
    waiting = Waiting(what="a decision on it", since=at(4), who="a person", only_operator=True)
    text = drawn(release(gate(Phase.INCONCLUSIVE, unsure), events=(held,), phase="Paused", waiting=waiting))
    assert "    12:04:00  held for an operator\n              still waits without a limit; a person ends it" in text


def test_what_an_outside_system_said_cannot_speak_to_the_terminal() -> None:
    hostile = metric(
        Measurement(phase=Phase.FAILED, value="\x1b[2J", reason="\x1b[2J", started_at=at(2)), phase=Phase.FAILED
    )
    assert "\x1b" not in drawn(rolled_back(gate(Phase.FAILED, hostile)))


def test_a_release_without_a_gate_says_so() -> None:
    assert drawn(release()).endswith("\n\nNo analysis run was started.")
