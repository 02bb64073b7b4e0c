"""Why a release did what it did: from its own account to sentences."""

from __future__ import annotations

import pytest

from tests.unit.report.accounts import (
    BESIDE,
    GATE,
    at,
    event,
    failed,
    gate,
    measured,
    metric,
    release,
    rolled_back,
    steps,
    weight,
)
from tidegate.analysis.status import Phase
from tidegate.contract import Compensation, CompensationStatus, ReleaseStatus, Waiting, WeightStatus
from tidegate.report import Explanation, TimelineEntry, explain, explain_run


def told(timeline: tuple[TimelineEntry, ...]) -> list[str]:
    return [entry.text for entry in timeline]


def test_a_failed_gate_is_the_reason_and_the_undoing_its_consequence() -> None:
    account = explain(rolled_back(gate(Phase.FAILED, failed())), "Failed")
    assert account.headline == (
        "payments/checkout revision 2 was rolled back at 10 %: "
        "error-rate is bad (failed (2) > failureLimit (1)): 0.3 seen"
    )
    assert account.decided_by == GATE
    [only] = account.gates
    assert (only.step, only.step_text, only.weight) == (2, "analysis", 10)
    assert [reading.value for reading in only.metrics[0].metric.measurements] == ["0.2", "0.3"]
    assert told(only.timeline) == [
        "aborted",
        "0 % of the traffic to the canary, 100 % to stable (back to stable)",
        "incident INC1: https://now/INC1",
        "done: canary pods down",
    ]
    assert only.timeline == account.ending


def test_a_compensation_that_failed_is_what_a_person_reads_first() -> None:
    rows = (CompensationStatus(name=Compensation.TRAFFIC, state="failed", detail="409", at=at(4.1)),)
    account = explain(rolled_back(gate(Phase.FAILED, failed()), compensations=rows), "Failed")
    assert "was aborted, and an operator is needed, since this failed: traffic to stable: " in account.headline
    assert TimelineEntry(at=at(4.1), text="could not be done: traffic to stable: 409", bad=True) in account.ending


def test_an_abort_under_way_is_not_told_as_done() -> None:
    rows = (CompensationStatus(name=Compensation.TRAFFIC, state="running", at=at(4)),)
    account = explain(rolled_back(gate(Phase.FAILED, failed()), compensations=rows, finished_at=None))
    assert "is being rolled back at 10 %" in account.headline
    assert "under way: traffic to stable" in told(account.ending)


def test_a_persons_abort_is_the_reason_and_the_gate_under_way_proves_nothing() -> None:
    left = gate(Phase.INCONCLUSIVE, metric(measured(2, "0.001", Phase.SUCCESSFUL)), completed_at=None)
    account = explain(rolled_back(left, cause=""), "Failed")
    assert account.headline == "payments/checkout revision 2 was rolled back at 10 %: because"
    assert account.decided_by == ""
    assert account.gates[0].metrics[0].sentence == "error-rate came to no verdict: 0.001 seen"
    assert told(account.gates[0].timeline) == ["did not wait for it: Rollout aborted update to revision 2: because"]


def test_a_good_gate_is_followed_by_the_next_step_and_its_weights_up_to_the_next_gate() -> None:
    good = metric(measured(3, "0.001", Phase.SUCCESSFUL), phase=Phase.SUCCESSFUL)
    later = gate(Phase.RUNNING, name="checkout-abc-2-3", started_at=at(6))
    later = later.model_copy(update={"step": 3, "kind": "Step"})
    weights = (weight(1, 10), weight(4, 25), weight(7, 50))
    status = release(gate(Phase.SUCCESSFUL, good), later, steps=steps(3), weights=weights, actual_weight=50)
    first, second = explain(status).gates
    assert first.metrics[0].sentence == "error-rate is good: 0.001 seen"
    assert told(first.timeline) == [
        "went on to step 3/4 (setWeight: 25)",
        "25 % of the traffic to the canary, 75 % to stable (setWeight: 25)",
    ]
    assert (second.weight, second.timeline) == (50, ())


def test_a_background_gate_is_told_with_the_step_and_weight_of_its_verdict() -> None:
    beside = gate(Phase.FAILED, failed(), name=BESIDE, started_at=at(0))
    account = explain(rolled_back(beside, cause=BESIDE), "Failed")
    [only] = account.gates
    assert (only.kind, only.step, only.step_text, only.weight) == ("Background", 2, "analysis", 10)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((), "had no reason to stop"),
        (((6, 100),), "100 % of the traffic to the canary, 0 % to stable (setWeight: 100)"),
    ],
)
def test_a_good_background_gate_lets_the_release_take_all_traffic(
    weights: tuple[tuple[int, int], ...], expected: str
) -> None:
    rows = tuple(
        WeightStatus(at=at(minute), canary=canary, reason=f"setWeight: {canary}") for minute, canary in weights
    )
    account = explain(release(gate(Phase.SUCCESSFUL, name=BESIDE), weights=rows))
    assert told(account.gates[0].timeline) == [expected]


def test_an_inconclusive_gate_holds_the_release_until_somebody_answers() -> None:
    unsure = metric(measured(3, "0.03", Phase.INCONCLUSIVE), phase=Phase.INCONCLUSIVE)
    held = event(4, "RolloutPaused", analysis=GATE)
    waiting = Waiting(what="a decision on it", since=at(4), who="a person", only_operator=True)
    account = explain(release(gate(Phase.INCONCLUSIVE, unsure), phase="Paused", waiting=waiting, events=(held,)))
    assert account.headline == "payments/checkout revision 2 waits for an operator at 10 %: a decision on it"
    assert told(account.gates[0].timeline) == ["held for an operator", "still waits without a limit; a person ends it"]
    answer = event(9, "RolloutPromoted", "promoted by ana: known noise")
    account = explain(release(gate(Phase.INCONCLUSIVE, unsure), events=(event(3, "RolloutPromoted"), held, answer)))
    assert told(account.gates[0].timeline) == ["held for an operator", "promoted by ana: known noise"]


def test_errors_that_decided_are_those_in_a_row() -> None:
    errors = metric(
        measured(1, "a", Phase.ERROR),
        measured(2, "b", Phase.SUCCESSFUL),
        measured(3, "c", Phase.ERROR),
        phase=Phase.ERROR,
        consecutive_error=1,
        exceeded="consecutiveErrors (1) > consecutiveErrorLimit (0)",
    )
    account = explain(rolled_back(gate(Phase.ERROR, errors)), "Failed")
    assert [reading.value for reading in account.gates[0].metrics[0].metric.measurements] == ["c"]
    assert "error-rate could not be measured (consecutiveErrors (1)" in account.headline


def test_a_dry_run_is_never_the_reason() -> None:
    dry = failed().model_copy(update={"name": "dry", "dry_run": True})
    account = explain(rolled_back(gate(Phase.FAILED, dry, failed())), "Failed")
    assert ": error-rate is bad" in account.headline
    assert account.gates[0].metrics[0].sentence.endswith("; a dry run, which has no say")


def test_a_gate_that_could_not_be_carried_out_gives_its_own_message() -> None:
    broken = gate(Phase.ERROR, message="argument 'x' was not supplied", completed_at=None)
    assert explain(rolled_back(broken), "Failed").headline.endswith(": argument 'x' was not supplied")


@pytest.mark.parametrize(
    ("status", "state", "headline"),
    [
        (
            release(phase="Healthy", finished_at=at(9), analyses=(gate(Phase.SUCCESSFUL),)),
            "Completed",
            "is fully promoted: 1 of 1 gates were Successful",
        ),
        (
            release(phase="Healthy", finished_at=at(9), events=(event(3, "RolloutPromoted", "promoted fully by ana"),)),
            "Completed",
            "is fully promoted: no gate was asked; promoted fully by ana",
        ),
        (
            release(phase="Healthy", finished_at=at(9), promotion_reason="Rollback within window"),
            "Completed",
            "is fully promoted: Rollback within window; no gate was asked",
        ),
        (
            release(phase="Degraded", ended_by="InvalidSpec", cause="weight 120", finished_at=at(0), revision=0),
            "Failed",
            "was refused, and nothing of it was done: weight 120",
        ),
        (
            release(phase="Degraded", message="ProgressDeadlineExceeded: 1 of 2 pods"),
            "Running",
            "is degraded at 10 %, and goes on trying: ProgressDeadlineExceeded: 1 of 2 pods",
        ),
        (
            release(),
            "Terminated",
            "was stopped from outside (Terminated) at 10 %: nothing was undone; look at the weights, "
            "then start it again, or the stable version",
        ),
        (
            release(waiting=Waiting(what="the pause", since=at(1), until=at(3), who="a person")),
            "Running",
            "is under way at 10 %: step 2/4 (analysis), waits for the pause until 12:03:00 UTC",
        ),
    ],
)
def test_what_became_of_a_release(status: ReleaseStatus, state: str, headline: str) -> None:
    subject = "payments/checkout revision 2" if status.revision else "payments/checkout"
    assert explain(status, state).headline == f"{subject} {headline}"


def test_gates_of_an_earlier_revision_of_the_same_run_are_not_its_evidence() -> None:
    earlier = gate(Phase.FAILED, failed()).model_copy(update={"revision": 1})
    assert explain(release(earlier, gate(Phase.SUCCESSFUL, name=BESIDE))).gates[0].name == BESIDE


def test_a_run_is_explained_alone_and_with_what_its_release_did() -> None:
    judged = gate(Phase.FAILED, failed())
    alone = explain_run(judged.status, judged.workflow_id)
    reason = "error-rate is bad (failed (2) > failureLimit (1)): 0.3 seen"
    assert alone.headline == f"analysis run {GATE} ended Failed: {reason}"
    assert (alone.gates[0].weight, alone.gates[0].timeline) == (None, ())
    whole = explain(rolled_back(judged), "Failed")
    within = explain_run(judged.status, judged.workflow_id, whole)
    assert (within.headline, within.gates) == (alone.headline, whole.gates)


def test_the_account_survives_the_wire() -> None:
    account = explain(rolled_back(gate(Phase.FAILED, failed())), "Failed")
    assert Explanation.model_validate_json(account.model_dump_json()) == account
