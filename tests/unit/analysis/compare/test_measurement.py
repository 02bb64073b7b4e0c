"""A judgement as a measurement keeps it: numbers for people."""

from __future__ import annotations

import math

from tidegate.analysis.compare.measurement import metadata_of
from tidegate.analysis.compare.models import EventNumbers, Judgement, Ruling, Weight


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
        judgement(event("errors", math.log(2)), event("latency", 4.0)), Weight(since=5, share=0.1), 0.25
    )
    assert (found["event"], found["proof"]) == ("errors", "0.5")
    assert (found["requests"], found["failedRequests"]) == ("7380", "12")
    assert (found["weight"], found["seen"], found["since"]) == ("0.1", "0.098", "5.000")


def test_at_the_last_weight_the_promise_of_the_whole_release_counts_as_well() -> None:
    weak = judgement(event("errors", 4.0, promise=math.log(2)), event("latency", 4.0))
    assert metadata_of(weak, Weight(since=5, share=0.5, last=True), 0.25)["proof"] == "0.5"
    assert metadata_of(weak, Weight(since=5, share=0.5), 0.25)["proof"] == "1"


def test_a_proof_is_neither_negative_nor_more_than_all() -> None:
    weight = Weight(since=5, share=0.1)
    assert metadata_of(judgement(event("errors", -3.0)), weight, 0.05)["proof"] == "0"
    assert metadata_of(judgement(event("errors", 50.0)), weight, 0.05)["proof"] == "1"


def test_without_traffic_there_is_no_proof_and_the_requests_stay_counted() -> None:
    found = metadata_of(judgement(event("errors", 1.0)), None, 0.05)
    assert "proof" not in found
    assert found["failedRequests"] == "12"
