"""The life of an Experiment by the rules alone: every way in which it ends, whatever pods and analyses do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis.status import Phase
from tidegate.experiments.life import REQUIRED_COMPLETED, Observed, Verdicts, advance, due_at
from tidegate.experiments.moves import down_at, is_down, next_action, wanted_sets
from tidegate.experiments.status import ExperimentStatus, RunStatus, TemplateCode
from tidegate.experiments.transitions import transitions
from tidegate.manifests.experiment import ExperimentSpec
from tidegate.rollouts.experiment_sets import ExperimentMove, ExperimentSet, Expose, KeepUntil, Raise, Resize, Withdraw

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PORTS = {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}}


def spec(*analyses: dict[str, Any], replicas: int = 2, **fields: Any) -> ExperimentSpec:
    templates = [{"name": "a", "replicas": replicas, "service": {}, "template": PORTS}, {"name": "b"}]
    return ExperimentSpec.model_validate({"templates": templates, "analyses": list(analyses), **fields})


def ready(name: str, replicas: int = 2) -> ExperimentSet:
    return ExperimentSet(f"exp-{name}", name, name * 3, replicas, replicas, replicas, ready=replicas)


def run(name: str, phase: Phase, message: str = "") -> RunStatus:
    return RunStatus(name=name, analysis_run=f"exp-{name}", phase=phase, message=message)


ALL = (ready("a"), ready("b", 1))
FREE, REQUIRED = {"name": "x", "templateName": "x"}, {"name": "y", "templateName": "y", "requiredForCompletion": True}


def running(wanted: ExperimentSpec) -> ExperimentStatus:
    """The status once all pods are there."""
    before = advance("exp", wanted, ExperimentStatus(), Observed(NOW)).status
    return advance("exp", wanted, before, Observed(NOW, ALL)).status


def test_it_is_pending_until_all_pods_are_there() -> None:
    first = advance("exp", spec(), ExperimentStatus(), Observed(NOW)).status
    assert (first.phase, first.available_at) == (Phase.PENDING, None)
    one = advance("exp", spec(), first, Observed(NOW, ALL[:1])).status
    assert [each.status for each in one.template_statuses] == [TemplateCode.RUNNING, TemplateCode.PROGRESSING]
    assert (one.phase, one.available_at) == (Phase.PENDING, None)
    assert (running(spec()).phase, running(spec()).available_at) == (Phase.RUNNING, NOW)


@pytest.mark.parametrize(
    ("analyses", "runs", "lasted", "terminating", "phase", "verdicts"),
    [
        ((), (), False, False, Phase.RUNNING, Verdicts.GO_ON),
        ((), (), True, False, Phase.SUCCESSFUL, Verdicts.TERMINATE),
        ((), (), False, True, Phase.SUCCESSFUL, Verdicts.TERMINATE),
        ((FREE,), (run("x", Phase.RUNNING),), True, False, Phase.RUNNING, Verdicts.SETTLE),
        ((FREE,), (run("x", Phase.INCONCLUSIVE),), True, False, Phase.INCONCLUSIVE, Verdicts.TERMINATE),
        ((FREE,), (run("x", Phase.SUCCESSFUL),), False, False, Phase.RUNNING, Verdicts.GO_ON),
        ((FREE,), (run("x", Phase.FAILED),), False, False, Phase.FAILED, Verdicts.TERMINATE),
        ((FREE,), (run("x", Phase.RUNNING),), False, True, Phase.RUNNING, Verdicts.TERMINATE),
        ((REQUIRED,), (run("y", Phase.RUNNING),), True, False, Phase.RUNNING, Verdicts.GO_ON),
        ((REQUIRED,), (run("y", Phase.SUCCESSFUL),), False, False, Phase.SUCCESSFUL, Verdicts.TERMINATE),
        (
            (FREE, REQUIRED),
            (run("x", Phase.RUNNING), run("y", Phase.SUCCESSFUL)),
            False,
            False,
            Phase.SUCCESSFUL,
            Verdicts.TERMINATE,
        ),
        ((REQUIRED,), (run("y", Phase.ERROR),), True, True, Phase.ERROR, Verdicts.TERMINATE),
    ],
)
def test_what_ends_it_and_how(
    analyses: tuple[dict[str, Any], ...],
    runs: tuple[RunStatus, ...],
    lasted: bool,
    terminating: bool,
    phase: Phase,
    verdicts: Verdicts,
) -> None:
    wanted = spec(*analyses, duration="10m")
    now = NOW + timedelta(minutes=10 if lasted else 5)
    found = advance("exp", wanted, running(wanted), Observed(now, ALL, runs, terminating=terminating))
    assert (found.status.phase, found.verdicts) == (phase, verdicts)


def test_the_message_is_that_of_what_ended_it() -> None:
    failed = (run("x", Phase.FAILED, "metric e assessed Failed"), run("y", Phase.SUCCESSFUL))
    wanted = spec(FREE, REQUIRED)
    assert advance("exp", wanted, running(wanted), Observed(NOW, ALL, failed)).status.message == failed[0].message
    good = Observed(NOW, ALL, (run("y", Phase.SUCCESSFUL),))
    assert advance("exp", wanted, running(wanted), good).status.message == REQUIRED_COMPLETED


def test_pods_that_go_are_awaited_again_and_the_duration_goes_on() -> None:
    wanted = spec(duration="10m", progressDeadlineSeconds=60)
    short = (replace(ALL[0], available=1), ALL[1])
    lost = advance("exp", wanted, running(wanted), Observed(NOW + timedelta(minutes=9), short)).status
    assert (lost.phase, due_at(wanted, lost, NOW + timedelta(minutes=9))) == (
        Phase.PENDING,
        NOW + timedelta(minutes=10),
    )
    at_end = advance("exp", wanted, lost, Observed(NOW + timedelta(seconds=590), short)).status
    assert at_end.phase is Phase.PENDING
    late = advance("exp", wanted, lost, Observed(NOW + timedelta(minutes=10), short)).status
    assert (late.phase, late.message) == (Phase.FAILED, "Template 'a' exceeded its progressDeadlineSeconds (60)")
    back = advance("exp", wanted, lost, Observed(NOW + timedelta(seconds=599), ALL)).status
    assert (back.phase, back.available_at) == (Phase.RUNNING, NOW)


def test_more_pods_that_are_asked_for_later_have_the_whole_deadline() -> None:
    before = running(spec())
    more = advance("exp", spec(replicas=3), before, Observed(LATER, (replace(ALL[0], desired=3), ALL[1]))).status
    assert (more.phase, more.template_statuses[0].last_transition_time) == (Phase.PENDING, LATER)


def test_what_is_refused_is_said_and_what_is_impossible_ends_it() -> None:
    refused = advance("exp", spec(), ExperimentStatus(), Observed(NOW, refused={"a": "quota"})).status
    assert (refused.phase, refused.template_statuses[0].message) == (Phase.PENDING, "quota")
    late = advance("exp", spec(), refused, Observed(LATER, refused={"a": "quota"})).status
    assert late.message == "Template 'a' exceeded its progressDeadlineSeconds (600): quota"
    ended = advance("exp", spec(), refused, Observed(NOW, impossible={"a": "taken"})).status
    assert (ended.phase, ended.message) == (Phase.ERROR, "taken")


def test_events_say_what_changed_in_argos_words() -> None:
    wanted = spec(FREE)
    before = advance("exp", wanted, ExperimentStatus(), Observed(NOW)).status
    assert [each.message for each in transitions(ExperimentStatus(), before)] == [
        "Template 'a' transitioned from  -> Progressing",
        "Template 'b' transitioned from  -> Progressing",
    ]
    after = advance("exp", wanted, running(wanted), Observed(NOW, ALL, (run("x", Phase.FAILED, "why"),))).status
    last = list(transitions(running(wanted), after))[-1]
    assert (last.reason, last.message, last.warning) == (
        "AnalysisRunFailed",
        "AnalysisRun 'x' transitioned from  -> Failed: why",
        True,
    )


def test_a_status_is_read_back_as_it_was_written_but_for_runs_that_nobody_awaits() -> None:
    wanted = spec(FREE, REQUIRED, duration="10m")
    runs = (run("x", Phase.SUCCESSFUL), run("y", Phase.RUNNING))
    status = advance("exp", wanted, running(wanted), Observed(NOW, ALL, runs)).status
    read = ExperimentStatus.read(status.to_wire())
    assert read == status.model_copy(update={"analysis_runs": runs[:1]})
    assert ExperimentStatus.read({"phase": "Nonsense"}) == ExperimentStatus.read(None) == ExperimentStatus()


# ---------------------------------------------------------------------------------------------------------------- laws


class Cluster:
    """A cluster in which every move succeeds; pods come when the test says so."""

    def __init__(self) -> None:
        self.sets: dict[str, ExperimentSet] = {}

    @property
    def all(self) -> tuple[ExperimentSet, ...]:
        return tuple(self.sets.values())

    def carry_out(self, wanted: ExperimentSpec, now: datetime, *, up: bool) -> None:
        for _ in range(50):
            move = next_action(wanted_sets("exp", wanted) if up else (), self.all, now, wanted.scale_down_delay())
            if move is None:
                return
            self.apply(move)
        raise AssertionError("it never comes to rest")

    def apply(self, move: ExperimentMove) -> None:
        if isinstance(move, Raise):
            self.sets[move.wanted.name] = ExperimentSet(move.wanted.name, move.wanted.template, "h", 0, 0, 0)
        elif isinstance(move, Expose):
            self.sets[move.wanted.name] = replace(self.sets[move.wanted.name], service=move.wanted.service)
        elif isinstance(move, Resize):
            one = self.sets[move.name]
            assert not (one.service and not move.replicas), "pods go before their Service"
            left = min(one.available, move.replicas)
            self.sets[move.name] = replace(one, desired=move.replicas, current=left, available=left, ready=left)
        elif isinstance(move, KeepUntil):
            self.sets[move.name] = replace(self.sets[move.name], scale_down_at=move.at)
        elif isinstance(move, Withdraw):
            name = next(each.name for each in self.all if each.service == move.name)
            self.sets[name] = replace(self.sets[name], service="")

    def let_pods_come(self, share: float) -> None:
        for one in self.all:
            count = round(one.desired * share)
            self.sets[one.name] = replace(one, current=count, available=count, ready=count)


PHASES = st.sampled_from([None, Phase.RUNNING, Phase.SUCCESSFUL, Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE])


@given(
    moments=st.lists(
        st.tuples(st.integers(1, 400), st.sampled_from([0.0, 0.5, 1.0]), PHASES, PHASES, st.booleans()), max_size=12
    ),
    duration=st.sampled_from(["", "5m"]),
    delay=st.sampled_from([0, 30]),
)
def test_whatever_happens_no_pod_is_too_many_and_in_the_end_there_is_none(
    moments: list[tuple[int, float, Phase | None, Phase | None, bool]], duration: str, delay: int
) -> None:
    wanted = spec(FREE, REQUIRED, duration=duration, scaleDownDelaySeconds=delay)
    cluster, status, now = Cluster(), ExperimentStatus(), NOW
    rows: dict[str, Phase] = {}
    for seconds, share, x, y, terminating in [*moments, (1, 1.0, None, None, True), (1, 1.0, None, None, True)]:
        now += timedelta(seconds=seconds)
        cluster.carry_out(wanted, now, up=not status.is_over)
        assert sum(each.desired for each in cluster.all) <= 3
        cluster.let_pods_come(share)
        if status.available_at is not None and not status.is_over:
            rows |= {name: phase for name, phase in (("x", x), ("y", y)) if phase and not _ended(rows.get(name))}
        if terminating:  # what is open gives its verdict
            rows = {name: phase if phase.completed else Phase.SUCCESSFUL for name, phase in rows.items()}
        runs = tuple(run(name, phase) for name, phase in rows.items())
        before, status = (
            status,
            advance("exp", wanted, status, Observed(now, cluster.all, runs, terminating=terminating)).status,
        )
        assert not before.is_over or status.phase is before.phase, "an outcome changed"
        bad = [phase for phase in rows.values() if phase.completed and phase is not Phase.SUCCESSFUL]
        assert not bad or (status.is_over and (before.is_over or status.phase is not Phase.SUCCESSFUL))
    assert status.is_over
    cluster.carry_out(wanted, now, up=False)
    while (due := down_at((), cluster.all)) is not None:
        cluster.carry_out(wanted, due, up=False)
    assert is_down(cluster.all)


def _ended(phase: Phase | None) -> bool:
    return phase is not None and phase.completed
