"""The drawing, against golden text at fixed times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase
from tidegate.cli.formatting import columns
from tidegate.cli.overview import overview
from tidegate.cli.tree import tree
from tidegate.contract import (
    AnalysisRef,
    CompensationStatus,
    Event,
    IncidentRef,
    Observation,
    ReleaseStatus,
    ReplicaCounts,
    Source,
    StepStatus,
    Waiting,
)
from tidegate.report.ages import age
from tidegate.rollouts.replica_sets import PodState, ReplicaSetState

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
STABLE_IMAGE = "registry.internal/payments/checkout:1.0.0"
CANARY_IMAGE = "registry.internal/payments/checkout:1.1.0"


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def text(lines: list[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def replica_sets(*, pods: bool = False) -> tuple[ReplicaSetState, ...]:
    canary_pod = PodState(
        name="checkout-65fb5ffc84-9wf5r", phase="Running", ready=True, restarts=1, created_at=ago(minutes=2)
    )
    failing = PodState(
        name="checkout-877894d5b-x2x2x", phase="ImagePullBackOff", ready=False, created_at=ago(hours=5, minutes=3)
    )
    return (
        ReplicaSetState(
            name="checkout-65fb5ffc84",
            hash="65fb5ffc84",
            revision=3,
            desired=1,
            current=1,
            ready=1,
            available=1,
            images={"checkout": CANARY_IMAGE},
            created_at=ago(minutes=2),
            pods=(canary_pod,) if pods else (),
        ),
        ReplicaSetState(
            name="checkout-877894d5b",
            hash="877894d5b",
            revision=2,
            desired=8,
            current=8,
            ready=8,
            available=8,
            images={"checkout": STABLE_IMAGE},
            created_at=ago(hours=5, minutes=3),
            pods=(failing,) if pods else (),
        ),
        ReplicaSetState(
            name="checkout-5c6d5d6d",
            hash="5c6d5d6d",
            revision=1,
            desired=0,
            created_at=ago(days=9),
            scale_down_at=NOW + timedelta(seconds=20),
        ),
    )


def run_status() -> AnalysisStatus:
    return AnalysisStatus(
        name="checkout-65fb5ffc84-3-2",
        phase=Phase.RUNNING,
        started_at=ago(minutes=1, seconds=30),
        metrics=(
            MetricStatus(
                name="error-rate",
                phase=Phase.RUNNING,
                count=4,
                successful=3,
                failed=1,
                success_condition="result < 0.01",
                failure_condition="result >= 0.05",
                measurements=(
                    Measurement(
                        phase=Phase.SUCCESSFUL, value="0.001", reason="0.001 < 0.01", started_at=ago(seconds=61)
                    ),
                    Measurement(phase=Phase.FAILED, value="0.07", reason="0.07 >= 0.05", started_at=ago(seconds=1)),
                ),
            ),
            MetricStatus(name="p99-latency", phase=Phase.RUNNING, dry_run=True, inconclusive=2),
        ),
    )


def release(**changes: object) -> ReleaseStatus:
    status = ReleaseStatus(
        workflow_id="rollout/default/payments/checkout",
        run_id="01a20693",
        cluster="default",
        namespace="payments",
        name="checkout",
        phase="Paused",
        message="CanaryPauseStep",
        started_at=ago(minutes=2),
        step_index=1,
        steps=(StepStatus(index=0, text="setWeight: 10"), StepStatus(index=1, text="pause: 2m")),
        set_weight=10,
        actual_weight=11,
        waiting=Waiting(
            what="pause: 2m", since=ago(seconds=72), until=NOW + timedelta(seconds=48), who="promote or abort"
        ),
        desired_hash="65fb5ffc84",
        stable_hash="877894d5b",
        revision=3,
        counts=ReplicaCounts(desired=8, current=9, updated=1, ready=9, available=9),
        replica_sets=replica_sets(),
        analyses=(
            AnalysisRef(
                workflow_id="analysis/default/payments/checkout-65fb5ffc84-3-2",
                name="checkout-65fb5ffc84-3-2",
                kind="Step",
                step=2,
                revision=3,
                status=run_status(),
            ),
        ),
        events=(
            Event(at=ago(seconds=75), reason="TrafficWeightUpdated", message="Traffic weight updated from 0 to 10"),
            Event(at=ago(seconds=72), reason="RolloutPaused", message="Rollout is paused", warning=True),
        ),
        by="alice@github",
        source=Source(repository="payments/checkout", commit="0a1b2c3d"),
    )
    return ReleaseStatus.model_validate(dict(status) | changes)


def test_a_paused_release_is_drawn_as_argos_plugin_does_with_what_it_waits_for() -> None:
    assert text(overview(release(), None, NOW)) == (
        """\
Name:            checkout
Namespace:       payments
Status:          ॥ Paused
Message:         CanaryPauseStep
Strategy:        Canary
  Step:          2/2  pause: 2m
  SetWeight:     10
  ActualWeight:  11
Waiting for:     pause: 2m
  Since:         11:58:48 UTC (72s)
  Until:         12:00:48 UTC (48s left)
  Ended by:      promote or abort
Images:          registry.internal/payments/checkout:1.0.0 (stable)
                 registry.internal/payments/checkout:1.1.0 (canary)
Replicas:
  Desired:       8
  Current:       9
  Updated:       1
  Ready:         9
  Available:     9
Workflow:        rollout/default/payments/checkout (run 01a20693)
Started by:      alice@github
Commit:          payments/checkout 0a1b2c3d

NAME                             KIND         STATUS        AGE   INFO
⟳ checkout                       Rollout      ॥ Paused      9d
├──# revision:3
│  ├──⧉ checkout-65fb5ffc84      ReplicaSet   ✔ Healthy     2m    canary
│  └──α checkout-65fb5ffc84-3-2  AnalysisRun  ◌ Running     90s   ✔ 3,✖ 1,? 2
├──# revision:2
│  └──⧉ checkout-877894d5b       ReplicaSet   ✔ Healthy     5h3m  stable
└──# revision:1
   └──⧉ checkout-5c6d5d6d        ReplicaSet   • ScaledDown  9d    delay:20s

AGE  EVENT                 MESSAGE
75s  TrafficWeightUpdated  Traffic weight updated from 0 to 10
72s  ⚠ RolloutPaused       Rollout is paused"""
    )


def test_pods_are_in_the_tree_when_the_cluster_was_observed() -> None:
    seen = Observation(at=NOW, replica_sets=replica_sets(pods=True))
    assert text(tree(release(), seen, NOW)) == (
        """\
NAME                                  KIND         STATUS              AGE   INFO
⟳ checkout                            Rollout      ॥ Paused            9d
├──# revision:3
│  ├──⧉ checkout-65fb5ffc84           ReplicaSet   ✔ Healthy           2m    canary
│  │  └──□ checkout-65fb5ffc84-9wf5r  Pod          ✔ Running           2m    ready:1/1,restarts:1
│  └──α checkout-65fb5ffc84-3-2       AnalysisRun  ◌ Running           90s   ✔ 3,✖ 1,? 2
├──# revision:2
│  └──⧉ checkout-877894d5b            ReplicaSet   ✖ Degraded          5h3m  stable
│     └──□ checkout-877894d5b-x2x2x   Pod          ✖ ImagePullBackOff  5h3m  ready:0/1
└──# revision:1
   └──⧉ checkout-5c6d5d6d             ReplicaSet   • ScaledDown        9d    delay:20s"""
    )


def test_an_observation_that_found_nothing_does_not_hide_what_the_release_knows() -> None:
    assert text(tree(release(), Observation(at=NOW), NOW)) == text(tree(release(), None, NOW))


def test_an_aborted_release_shows_what_had_to_follow_and_where_to_read_on() -> None:
    drawn = text(
        overview(
            release(
                phase="Degraded",
                message="RolloutAborted: error-rate failed",
                waiting=None,
                compensations=(
                    CompensationStatus(name="traffic to stable", state="done"),
                    CompensationStatus(name="canary pods down", state="running"),
                    CompensationStatus(name="incident", state="failed", detail="401 from ServiceNow"),
                ),
                incident=IncidentRef(number="INC0010001", sys_id="ab", url="https://now.example/INC0010001"),
                warnings=("p99-latency can never fail",),
            ),
            None,
            NOW,
        )
    )
    assert "Waiting for:" not in drawn
    assert (
        """\
Undoing:         ✔ traffic to stable (done)
                 ◌ canary pods down (running)
                 ✖ incident: 401 from ServiceNow (failed)
Incident:        INC0010001 https://now.example/INC0010001
Warning:         ⚠ p99-latency can never fail
"""
        in drawn
    )


def test_a_wait_for_a_person_says_so() -> None:
    waiting = Waiting(what="an inconclusive gate", since=ago(minutes=3), who="promote or abort", only_operator=True)
    assert "  Until:         an operator acts\n" in text(overview(release(waiting=waiting), None, NOW))


def test_a_wait_that_is_over_is_due_and_not_negative() -> None:
    waiting = Waiting(what="pause", since=ago(minutes=3), until=ago(seconds=1), who="promote")
    assert "  Until:         11:59:59 UTC (due)\n" in text(overview(release(waiting=waiting), None, NOW))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(minutes=2, seconds=30), "2m30s"),
        (timedelta(minutes=10, seconds=30), "10m"),
        (timedelta(hours=2, minutes=59), "179m"),
        (timedelta(hours=3, minutes=5), "3h5m"),
        (timedelta(hours=9, minutes=5), "9h"),
        (timedelta(days=2), "2d"),
        (timedelta(days=2, hours=3), "2d3h"),
        (timedelta(days=300), "300d"),
        (timedelta(days=365 * 3 + 10), "3y10d"),
        (timedelta(days=365 * 9 + 10), "9y"),
    ],
)
def test_ages_read_as_kubectl_writes_them(span: timedelta, expected: str) -> None:
    assert age(span) == expected


@given(st.lists(st.lists(st.text("ab ", max_size=4), min_size=3, max_size=3), min_size=1, max_size=5))
def test_every_cell_of_a_column_starts_at_the_same_place(rows: list[list[str]]) -> None:
    starts = {2: max(len(row[0]) for row in rows) + max(len(row[1]) for row in rows) + 4}
    for row, line in zip(rows, columns(rows), strict=True):
        assert line.plain == line.plain.rstrip()
        assert line.plain[starts[2] :] == row[2].rstrip()
