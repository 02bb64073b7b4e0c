"""A release that was aborted still tells its image, its reason and the next command, also when its pods are gone."""

from __future__ import annotations

import pytest

from tests.unit.cli.test_cli_tree import text
from tests.unit.report.accounts import START, at, failed, gate, release, rolled_back, steps
from tidegate.analysis.status import Phase
from tidegate.cli.listing import table
from tidegate.cli.outcome import outcome_line
from tidegate.cli.overview import current_step, overview
from tidegate.client import ReleaseSummary
from tidegate.contract import Compensation, CompensationStatus, Message, Waiting
from tidegate.report import details, explain

IMAGE = "registry/checkout:1.3.0-slow"
IMAGES = {"checkout": IMAGE}
ABORTED = rolled_back(gate(Phase.FAILED, failed()), images=IMAGES)


def test_its_image_is_shown_without_its_pods() -> None:
    row = ReleaseSummary(
        cluster="default",
        namespace="payments",
        name="checkout",
        workflow_id=ABORTED.workflow_id,
        run_id="1",
        state="Failed",
        started_at=START,
    )
    assert f"Images:          {IMAGE} (aborted)" in text(overview(ABORTED, None, at(9)))
    assert text(table([(row, ABORTED)], namespaces=False, width=80)).split()[-1] == "1.3.0-slow"
    assert f"({IMAGE}) was rolled back at 10 %" in explain(ABORTED).headline
    assert f"Images: {IMAGE}" in details(ABORTED)


def test_the_last_line_holds_value_incident_run_and_remedy() -> None:
    line = outcome_line(ABORTED, "https://temporal/namespaces/prod/")
    assert line == (
        f"payments/checkout revision 2 ({IMAGE}) was rolled back at 10 %: "
        "error-rate is bad (failed (2) > failureLimit (1)): 0.3 seen; incident INC1 https://now/INC1; "
        "run https://temporal/namespaces/prod/workflows/rollout%2Fdefault%2Fpayments%2Fcheckout/1/history; "
        "next: tidegate explain checkout -n payments, then start a mended version"
    )


def test_the_last_line_names_what_failed_on_the_way_back() -> None:
    broken = CompensationStatus(name=Compensation.REVERT, state="failed", detail="403 from the forge")
    assert "; git revert: 403 from the forge; " in outcome_line(
        ABORTED.model_copy(update={"compensations": (broken,), "cluster": "eu1"})
    )


@pytest.mark.parametrize(
    ("pause", "command"),
    [
        (None, "tidegate promote checkout -n payments, or tidegate abort checkout -n payments"),
        (Message(by="ana"), "tidegate resume checkout -n payments, or tidegate abort checkout -n payments"),
    ],
)
def test_the_last_line_of_a_hold_names_the_command_that_ends_it(pause: Message | None, command: str) -> None:
    waiting = Waiting(what="a decision", since=START, who="an operator", only_operator=True)
    held = release(phase="Paused", waiting=waiting, manual_pause=pause, images=IMAGES)
    assert outcome_line(held).endswith(f"; next: {command}")


@pytest.mark.parametrize(("index", "shown"), [(0, "1/4"), (1, "2/4"), (3, "4/4"), (4, "4/4")])
def test_a_step_has_one_number_everywhere(index: int, shown: str) -> None:
    status = release(gate(Phase.RUNNING), step_index=index, steps=steps(1)[:4])
    assert current_step(status) == shown
    assert f"Step:          {shown}" in text(overview(status, None, at(9)))
    if index < 4:
        assert f"step {shown} " in explain(status.model_copy(update={"waiting": None})).headline
