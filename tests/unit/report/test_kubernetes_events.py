"""A release's events as Kubernetes Events about its Rollout."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.report.accounts import event
from tidegate.contract import Event, Target
from tidegate.manifests.plain_text import harmless
from tidegate.report import joined, kubernetes_event
from tidegate.report.kubernetes_events import BETWEEN

TARGET = Target(namespace="payments", name="checkout")


def document(told: Event | None = None, *, uid: str = "u1", run: str = "r1", number: int = 3, **more: Any) -> Any:
    told = told or event(1, "RolloutPaused", "Rollout is paused (CanaryPauseStep)")
    return kubernetes_event(told, target=more.get("target", TARGET), uid=uid, run=run, number=number)


def test_an_event_is_about_the_rollout_and_says_when_and_who() -> None:
    told = document()
    del told["metadata"]["name"]
    assert told == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "payments"},
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "namespace": "payments",
            "name": "checkout",
            "uid": "u1",
        },
        "reason": "RolloutPaused",
        "message": "Rollout is paused (CanaryPauseStep)",
        "type": "Normal",
        "source": {"component": "tidegate"},
        "reportingComponent": "tidegate",
        "reportingInstance": "",
        "firstTimestamp": "2026-03-01T12:01:00Z",
        "lastTimestamp": "2026-03-01T12:01:00Z",
        "count": 1,
    }


def test_a_warning_is_one() -> None:
    assert document(event(1, "RolloutAborted", "because", warning=True))["type"] == "Warning"


def test_the_name_is_that_of_this_event_and_of_no_other() -> None:
    another = event(1, "ScalingReplicaSet", "another attempt of the same pass did this")
    others = [document(), document(uid="u2"), document(run="r2"), document(number=4), document(another)]
    names = [each["metadata"]["name"] for each in others]
    assert len(set(names)) == len(names)
    assert document()["metadata"]["name"] == names[0]
    assert names[0].startswith("checkout.")


def test_the_longest_rollout_name_still_makes_a_name() -> None:
    name = document(target=Target(namespace="payments", name="a" * 235 + "-" + "b" * 17))["metadata"]["name"]
    assert re.fullmatch(r"a{235}\.[0-9a-f]{16}", name)


def test_a_message_is_cut_where_the_api_would_refuse_it() -> None:
    message = document(event(1, "RolloutAborted", "é" * 600))["message"]
    assert message == "é" * 510 + "..."
    assert document(event(1, "RolloutAborted", "x" * 1024))["message"] == "x" * 1024


def test_events_of_one_reason_are_one_with_the_time_of_the_last() -> None:
    told = joined(
        [
            event(1, "RolloutStepCompleted", "step 1"),
            event(2, "ScalingReplicaSet", "up"),
            event(3, "RolloutStepCompleted", "step 2"),
        ]
    )
    assert [(each.reason, each.message) for each in told] == [
        ("RolloutStepCompleted", "step 1 | step 2"),
        ("ScalingReplicaSet", "up"),
    ]
    assert told[0].at == event(3, "", "").at


def test_warnings_and_events_of_other_analysis_runs_stay_apart() -> None:
    warnings = [event(1, "TrafficRoutingError", text, warning=True) for text in ("refused", "refused again")]
    runs = [event(2, "AnalysisRunRunning", name, analysis=name) for name in ("first", "second")]
    told = (*warnings, *runs)
    assert joined(told) == told


@given(st.lists(st.tuples(st.sampled_from(["A", "B"]), st.text(max_size=400)), max_size=12))
def test_no_text_is_lost_or_cut_that_an_event_has_room_for(texts: list[tuple[str, str]]) -> None:
    told = joined(event(1, reason, text) for reason, text in texts)
    for reason in ("A", "B"):
        mine = [each for each in told if each.reason == reason]
        assert BETWEEN.join(each.message for each in mine) == BETWEEN.join(text for of, text in texts if of == reason)
        joints = [each for each in mine if BETWEEN in each.message]
        assert all(document(each)["message"] == harmless(each.message) for each in joints)
