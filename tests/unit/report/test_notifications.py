"""Who is told of which event, by the annotations of Argo's notification engine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidegate.contract import Event, IncidentRef, ReleaseStatus, Source, StepStatus
from tidegate.report import Subscriptions, notifications_for, read_subscriptions
from tidegate.report.notifications import (
    DEFAULT_TRIGGERS,
    MAX_ID,
    MAX_SUBSCRIPTIONS,
    TRIGGERS,
    Subscription,
    trigger_of,
)

PREFIX = "notifications.argoproj.io/subscribe"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATUS = ReleaseStatus(
    workflow_id="rollout/default/payments/checkout",
    run_id="run",
    cluster="default",
    namespace="payments",
    name="checkout",
    phase="Degraded",
    started_at=AT,
    revision=7,
    step_index=1,
    steps=(StepStatus(index=0, text="setWeight: 20"), StepStatus(index=1, text="analysis")),
    actual_weight=20,
    images={"checkout": "registry/checkout:v7"},
    by="alex",
    source=Source(commit="abc", ci_url="https://ci.internal/1"),
    incident=IncidentRef(number="INC1", sys_id="1", url="https://snow.internal/1"),
)
ABORTED = Event(at=AT, reason="RolloutAborted", message="given up", warning=True, analysis="gate-7-1")


def wanted(annotations: dict[str, str]) -> list[tuple[str, str, str]]:
    found = read_subscriptions(annotations)
    assert found.warnings == ()
    return [(each.trigger, each.service, each.recipient) for each in found.entries]


def warning(annotations: dict[str, str]) -> str:
    found = read_subscriptions(annotations)
    [text] = found.warnings
    assert found.entries == ()
    return text


@pytest.mark.parametrize(
    ("reason", "trigger"),
    [
        ("RolloutUpdated", "on-rollout-updated"),
        ("RolloutStepCompleted", "on-rollout-step-completed"),
        ("RolloutPaused", "on-rollout-paused"),
        ("RolloutAborted", "on-rollout-aborted"),
        ("RolloutCompleted", "on-rollout-completed"),
        ("ScalingReplicaSet", "on-scaling-replica-set"),
        ("AnalysisRunRunning", "on-analysis-run-running"),
        ("AnalysisRunFailed", "on-analysis-run-failed"),
        ("AnalysisRunError", "on-analysis-run-error"),
    ],
)
def test_every_trigger_that_argo_brings_is_there(reason: str, trigger: str) -> None:
    assert trigger_of(reason) == trigger
    assert trigger in TRIGGERS


def test_channels_have_semicolons_between() -> None:
    assert wanted({f"{PREFIX}.on-rollout-aborted.slack": " payments ;#on-call;; payments"}) == [
        ("on-rollout-aborted", "slack", "#on-call"),
        ("on-rollout-aborted", "slack", "payments"),
    ]


def test_a_service_alone_stands_for_the_default_triggers() -> None:
    assert wanted({f"{PREFIX}.slack": "payments"}) == [
        (trigger, "slack", "payments") for trigger in sorted(DEFAULT_TRIGGERS)
    ]


def test_a_webhook_needs_no_recipient() -> None:
    assert wanted({f"{PREFIX}.on-rollout-completed.audit": ""}) == [("on-rollout-completed", "audit", "")]


def test_subscriptions_may_be_given_as_yaml() -> None:
    text = """
    - trigger: [on-rollout-aborted, on-rollout-completed]
      destinations:
        - {service: slack, recipients: [payments, on-call]}
    """
    assert len(wanted({f"{PREFIX}_yaml": text})) == 4


def test_other_annotations_say_nothing_here() -> None:
    assert wanted({"notified.notifications.argoproj.io": "{}", "tidegate.io/git-path": "."}) == []


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        (".on-rollout-abort.slack", "x", "did you mean on-rollout-aborted?"),
        (".on-rollout-aborted.email", "x", "service 'email' is not supported"),
        (".on-rollout-aborted.No!", "x", "no name of a service"),
        (".on-rollout-aborted.slack", "", "slack needs a channel"),
        (".on-rollout-aborted.slack", " ; ", "no recipient"),
        (".on-rollout-aborted.slack", "a\nb", "printable"),
        (".on-rollout-aborted.slack", "x" * 201, "at most 200"),
        ("_yaml", "{", "no notification is sent"),
        ("_yaml", "text", "no list"),
        ("_yaml", "- 5", "trigger must be a list"),
        ("_yaml", "- {trigger: [on-rollout-aborted], destinations: [5]}", "recipients must be a list"),
        ("_yaml", "- {trigger: [on-rollout-aborted], destinations: {}}", "destinations must be a list"),
    ],
)
def test_what_cannot_be_understood_is_a_warning(annotation: str, value: str, says: str) -> None:
    text = warning({f"{PREFIX}{annotation}": value})
    assert says in text
    assert text.startswith(f"metadata.annotations['{PREFIX}")


def test_no_more_is_served_than_a_release_can_carry() -> None:
    many = ";".join(f"c{number}" for number in range(MAX_SUBSCRIPTIONS + 1))
    found = read_subscriptions({f"{PREFIX}.on-rollout-aborted.slack": many})
    assert (len(found.entries), len(found.warnings)) == (MAX_SUBSCRIPTIONS, 1)


def test_aliases_cannot_make_much_of_little() -> None:
    names = ", ".join(["on-rollout-aborted"] * 90)
    text = f"""
    - trigger: [{names}]
      destinations: [&one {{service: audit, recipients: [x]}}, *one]
    """
    found = read_subscriptions({f"{PREFIX}_yaml": text})
    assert found.entries == (Subscription("on-rollout-aborted", "audit", "x"),)
    assert f"more than {MAX_SUBSCRIPTIONS} subscriptions" in found.warnings[0]


def test_a_notice_holds_the_facts() -> None:
    asked = read_subscriptions({f"{PREFIX}.on-rollout-aborted.slack": "payments"})
    [notification] = notifications_for(ABORTED, asked, STATUS, number=4)
    assert (notification.trigger, notification.service, notification.recipient) == (
        "on-rollout-aborted",
        "slack",
        "payments",
    )
    assert (notification.step, notification.steps, notification.step_text, notification.weight) == (
        2,
        2,
        "analysis",
        20,
    )
    assert (notification.at, notification.message, notification.analysis, notification.by) == (
        AT,
        "given up",
        "gate-7-1",
        "alex",
    )
    assert (notification.incident, notification.ci_url) == ("INC1", "https://ci.internal/1")


def test_an_event_that_nobody_asked_for_is_told_to_nobody() -> None:
    asked = read_subscriptions({f"{PREFIX}.on-rollout-completed.slack": "payments"})
    assert notifications_for(ABORTED, asked, STATUS, number=4) == ()


names = st.text(max_size=300)
causes = st.tuples(
    names,
    names,
    names,
    st.integers(0, 9),
    st.sampled_from(["RolloutPaused", "RolloutAborted"]),
    st.integers(0, 9),
    names,
)


def id_of(cause: tuple[str, str, str, int, str, int, str]) -> str:
    rollout, run, message, revision, reason, number, recipient = cause
    status = STATUS.model_copy(update={"workflow_id": rollout, "name": rollout, "run_id": run, "revision": revision})
    event = ABORTED.model_copy(update={"reason": reason, "message": message})
    asked = Subscriptions((Subscription(trigger_of(reason), "audit", recipient),))
    [notification] = notifications_for(event, asked, status, number=number)
    return notification.id


@given(causes, causes)
def test_one_cause_has_one_id_and_another_has_another(
    first: tuple[str, str, str, int, str, int, str], second: tuple[str, str, str, int, str, int, str]
) -> None:
    assume((*first[:2], *first[3:]) != (*second[:2], *second[3:]))
    assert id_of(first) == id_of(first) != id_of(second)
    assert len(id_of(first)) <= MAX_ID


@given(st.dictionaries(st.sampled_from([f"{PREFIX}_yaml", f"{PREFIX}.on-rollout-paused.x", f"{PREFIX}.y"]), st.text()))
def test_no_annotation_makes_a_release_fail(annotations: dict[str, str]) -> None:
    found = read_subscriptions(annotations)
    assert all(each.trigger in TRIGGERS for each in found.entries)
