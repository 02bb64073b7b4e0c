"""A judgement as a measurement keeps it: numbers for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from tidegate.analysis.compare.measurement import EVIDENCE, evidence_of, metadata_of
from tidegate.analysis.compare.models import BadEvent, Comparison, EventNumbers, Judgement, Margin, Ruling, Weight
from tidegate.analysis.status import Measurement, Phase

MARGIN = Margin(times=1.25, plus=0.001)


def wanted(*names: str, false_promotion: float = 0.05) -> Comparison:
    return Comparison(
        events=tuple(BadEvent(name=name, margin=MARGIN) for name in names), false_promotion=false_promotion
    )


def event(name: str, here: float, promise: float = 9.0) -> EventNumbers:
    return EventNumbers(
        name=name, canary=7380, canary_bad=12, stable=60_000, stable_bad=90, harm=0.0, promise=promise, here=here
    )


def judgement(*events: EventNumbers) -> Judgement:
    return Judgement(
        ruling=Ruling.WAIT,
        event="errors",
        sentence="Not yet.",
        events=events,
        alarm=0.0,
        guard=0.0,
        lost=0.0,
        share=0.98,
        seconds=180,
    )


def test_the_proof_is_that_of_the_weakest_event_as_a_share_of_what_is_asked_for() -> None:
    found = metadata_of(
        judgement(event("errors", math.log(2)), event("latency", 4.0)),
        Weight(since=5, share=0.1),
        wanted("errors", "latency", false_promotion=0.25),
    )
    assert (found["event"], found["proof"]) == ("errors", "0.5")
    assert (found["requests"], found["failedRequests"]) == ("7380", "12")
    assert (found["weight"], found["seen"], found["since"]) == ("0.1", "0.098", "5.000")


def test_at_the_last_weight_the_promise_of_the_whole_release_counts_as_well() -> None:
    asked = wanted("errors", "latency", false_promotion=0.25)
    weak = judgement(event("errors", 4.0, promise=math.log(2)), event("latency", 4.0))
    assert metadata_of(weak, Weight(since=5, share=0.5, last=True), asked)["proof"] == "0.5"
    assert metadata_of(weak, Weight(since=5, share=0.5), asked)["proof"] == "1"


def test_a_proof_is_neither_negative_nor_more_than_all() -> None:
    weight = Weight(since=5, share=0.1)
    assert metadata_of(judgement(event("errors", -3.0)), weight, wanted("errors"))["proof"] == "0"
    assert metadata_of(judgement(event("errors", 50.0)), weight, wanted("errors"))["proof"] == "1"


def test_without_traffic_there_is_no_proof_and_the_requests_stay_counted() -> None:
    found = metadata_of(judgement(event("errors", 1.0)), None, wanted("errors"))
    assert "proof" not in found
    assert found["failedRequests"] == "12"


def test_the_evidence_is_kept_as_it_was_and_the_limits_are_those_that_decide() -> None:
    asked, numbers = wanted("errors"), event("errors", 1.5, promise=2.5)
    found = metadata_of(judgement(numbers), Weight(since=5, share=0.5), asked)
    [kept] = evidence_of(measured(found))
    assert (kept.name, kept.canary, kept.canary_bad, kept.stable, kept.stable_bad) == ("errors", 7380, 12, 60_000, 90)
    assert (kept.harm, kept.proof, kept.margin) == (0.0, 1.5, MARGIN)
    assert math.isclose(kept.proof_limit, math.log(20), abs_tol=1e-6)
    assert math.isclose(kept.harm_limit, math.log(100 / 0.85), abs_tol=1e-6), (
        "a share of the false aborts is the guard's"
    )


def test_evidence_that_cannot_be_read_is_none() -> None:
    for text in ("", "7", "[7]", '[{"name": "errors"}]', "{"):
        assert evidence_of(measured({EVIDENCE: text})) == ()
    assert evidence_of(measured({})) == ()


def measured(metadata: dict[str, str]) -> Measurement:
    return Measurement(
        phase=Phase.RUNNING, value="Not yet.", started_at=datetime(2026, 3, 1, tzinfo=UTC), metadata=metadata
    )
