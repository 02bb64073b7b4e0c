"""The screen of a release: snapshots in each state, what it says to a person, and its size for any status."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cli.releases import (
    START,
    Example,
    aborting,
    at,
    comparing,
    good,
    holding,
    metric,
    paused,
    readings,
    release,
    running,
)
from tests.unit.cli.screens import EXAMPLES, files, plain
from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase
from tidegate.cli.screen import Terminal, screen
from tidegate.cli.screen.sparkline import sparkline
from tidegate.contract import (
    AnalysisRef,
    CompensationStatus,
    Event,
    IncidentRef,
    Message,
    ReleaseStatus,
    Source,
    StepStatus,
    Waiting,
)
from tidegate.manifests.images import short_version
from tidegate.report.gates import limit_text, readable
from tidegate.report.progress import time_left
from tidegate.rollouts.replica_sets import PodState, ReplicaSetState


@pytest.mark.parametrize(("file", "content"), [pytest.param(*each, id=each[0].name) for each in files()])
def test_snapshots_and_pictures_are_current(file: Path, content: str) -> None:
    assert file.read_text() == content, "look at what has changed, then: make pictures"


def test_a_person_who_paused_is_named_with_the_command_that_works() -> None:
    drawn = plain(paused().lines(80, 24))
    assert "paused by    ana: lunch; back at 13:00" in drawn
    assert "you can      tidegate resume checkout -n payments " in drawn


def test_a_held_release_names_the_command_that_ends_the_wait_and_the_pods_that_fail() -> None:
    drawn = plain(holding().lines(80, 24))
    assert "you can      tidegate promote checkout -n payments " in drawn
    assert "canary 0/1 ready CrashLoopBackOff" in drawn


def test_an_abort_begins_with_version_cause_traffic_incident_and_next_step() -> None:
    lines = [line.plain for line in aborting().lines(80, 24)]
    assert lines[1].startswith("1.1.0 → 1.2.0 ")
    assert [line[:13].rstrip() for line in lines[3:10]] == [
        "taken back",
        "why",
        "",
        "traffic",
        "undoing",
        "incident",
        "next",
    ]
    assert "error-rate of step 3 is 0.167, it has to be < 0.01" in lines[4]
    assert "all on stable since 03:24:09 UTC" in lines[6]


def test_an_abort_says_how_many_requests_failed_where_they_were_counted() -> None:
    compared = comparing().status.analyses
    status = aborting().status.model_copy(update={"analyses": compared})
    assert "cost         12 of its 7,380 counted requests failed" in plain(Example(status, at(216)).lines(80, 24))
    assert "cost" not in plain(aborting().lines(80, 24))


def test_the_failed_version_stays_named_after_its_pods_are_gone() -> None:
    example = aborting()
    gone = tuple(each for each in example.status.replica_sets if each.revision != 3)
    status = example.status.model_copy(update={"replica_sets": gone, "finished_at": at(230), "waiting": None})
    assert "taken back   1.2.0 at 10 %" in plain(Example(status, at(240)).lines(80, 24))


def test_a_comparison_shows_its_proof_and_its_sentence() -> None:
    drawn = " ".join(plain(comparing().lines(80, 24)).split())
    assert "proof 61.6 % of what is asked for (errors)" in drawn
    assert "Not yet, errors: a version worse than 1.25 x stable + 0.1 %" in drawn
    assert "seen 9.8 %" in drawn


def test_pods_are_opened_on_request() -> None:
    example = holding()
    assert "9wf5r" not in plain(example.lines(120, 40))
    assert "checkout-65fb5ffc84-9wf5r  Pod" in plain(example.lines(120, 40, pods=True))
    assert "9wf5r  Pod" in plain(example.lines(80, 24, pods=True))


def test_an_old_answer_says_how_old_it_is() -> None:
    status = running().status
    drawn = screen(status, None, now=at(230), terminal=Terminal(80, 24), trouble="no worker answers", read_at=at(195))
    assert drawn[2].plain == "⚠ state of 03:23:53 UTC, 35s old: no worker answers"


def test_a_wait_that_is_over_has_no_end_before_its_beginning() -> None:
    waiting = Waiting(what="pods to go", since=at(200), until=at(190), who="a timer")
    drawn = plain(Example(release(waiting=waiting), at(201)).lines(80, 24))
    assert "waiting for  pods to go: due now" in drawn


def test_a_release_that_has_ended_waits_for_nothing() -> None:
    status = good().status.model_copy(update={"waiting": Waiting(what="notifications", since=at(1), who="nothing")})
    assert "waiting" not in plain(Example(status, at(900)).lines(80, 24))


@pytest.mark.parametrize(
    ("example", "text"),
    [(running, "10m+ left"), (paused, "8m34s+ left"), (good, ""), (aborting, "")],
    ids=["a first analysis", "a pause by a person", "the end", "an abort"],
)
def test_the_time_left_counts_pauses_and_says_when_it_is_more(example: object, text: str) -> None:
    found = example() if callable(example) else None
    assert isinstance(found, Example)
    assert time_left(found.status, found.now) == text


def test_a_later_analysis_takes_as_long_as_an_earlier_one() -> None:
    done = StepStatus(index=0, text="analysis", state="done", started_at=at(0), finished_at=at(90))
    later = (done, StepStatus(index=1, text="pause: 1m", state="running", started_at=at(90)))
    status = release(step_index=1, steps=(*later, StepStatus(index=2, text="analysis")))
    assert time_left(status, at(120)) == "~2m left"


def test_bars_grow_with_readings_and_leave_room_beyond_the_limit() -> None:
    upward = sparkline(metric("m", 10, 0, 4, 9.9, 10, 20), 10, colour=True)
    assert upward.plain == "▁▃▆▆█"
    floor = MetricStatus(
        name="m", phase=Phase.RUNNING, success_condition="result >= 0.95", measurements=readings(0.99, 0.95, limit=2)
    )
    assert sparkline(floor, 10, colour=True).plain == "█▅"


def test_without_colour_a_bad_reading_is_a_cross() -> None:
    found = metric("m", 10, 2, 20, "no data")
    assert sparkline(found, 10, colour=False).plain == "▂✖⚠"
    assert sparkline(found, 10, colour=True).plain == "▂█⚠"
    assert sparkline(found, 2, colour=True).plain == "█⚠"


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.16666666666666666", "0.167"), ("[338.60000000000014]", "339"), ("1234567", "1,234,567"), ("a\nb", "a b")],
)
def test_values_are_what_a_person_reads(value: str, text: str) -> None:
    assert readable(value) == text


@pytest.mark.parametrize(
    ("success", "failure", "text"),
    [
        ("result < 0.01", "result >= 0.05", "< 0.01"),
        ("", "result >= 0.05", "< 0.05"),
        ("", "result < 0.9", ">= 0.9"),
        ("len(result) > 0 && result[0] < 1", "", "len(result) > 0 && result[0] < 1"),
        ("", "isNaN(result)", "not isNaN(result)"),
        ("", "", "-"),
    ],
)
def test_a_limit_is_written_as_what_is_good(success: str, failure: str, text: str) -> None:
    found = MetricStatus(name="m", phase=Phase.RUNNING, success_condition=success, failure_condition=failure)
    assert limit_text(found) == text


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("registry.internal:5000/payments/checkout:1.2.0", "1.2.0"),
        ("registry.internal:5000/payments/checkout", "checkout"),
        ("checkout@sha256:0123456789abcdef", "0123456789ab"),
        ("a/b:1.0@sha256:0123456789abcdef", "1.0"),
    ],
)
def test_a_version_is_named_by_its_tag(image: str, name: str) -> None:
    assert short_version(image) == name


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_terminal_without_unicode_gets_ascii_of_the_same_size(name: str) -> None:
    for width, height in ((80, 24), (120, 40)):
        usual = EXAMPLES[name]().lines(width, height, pods=True)
        ascii_only = EXAMPLES[name]().lines(width, height, pods=True, unicode=False)
        assert plain(ascii_only).isascii()
        assert [line.cell_len for line in ascii_only] == [line.cell_len for line in usual]


def texts(most: int = 60) -> st.SearchStrategy[str]:
    return st.text(max_size=most) | st.sampled_from(["error-rate", "x" * 200, "語" * 50, "a b " * 40, "a\nb\tc"])


TIMES = st.integers(-10_000, 10_000).map(lambda seconds: START + timedelta(seconds=seconds))
MAYBE = st.none() | TIMES
VALUES = texts(20) | st.floats().map(str) | st.floats(0, 1).map(lambda value: f"[{value}]")
CONDITIONS = st.sampled_from(["", "result < 0.01", "result >= 500", "result < 0", "x" * 90])
MEASUREMENTS = st.builds(
    Measurement,
    phase=st.sampled_from(Phase),
    value=VALUES,
    message=texts(),
    started_at=TIMES,
    metadata=st.just({}) | st.just({"ruling": "wait", "proof": "0.4", "event": "語" * 30, "seen": "0.1"}),
)
METRICS = st.builds(
    MetricStatus,
    name=texts(),
    phase=st.sampled_from(Phase),
    successful=st.integers(0, 10**6),
    failed=st.integers(0, 10**6),
    dry_run=st.booleans(),
    measurements=st.lists(MEASUREMENTS, max_size=12).map(tuple),
    success_condition=CONDITIONS,
    failure_condition=CONDITIONS,
)
RUNS = st.builds(
    AnalysisStatus, name=st.just("run"), phase=st.sampled_from(Phase), metrics=st.lists(METRICS, max_size=4).map(tuple)
)
GATES = st.builds(
    AnalysisRef,
    workflow_id=st.just("w"),
    name=st.just("run"),
    kind=st.sampled_from(["Step", "Background", "Bake"]),
    step=st.none() | st.integers(0, 3),
    revision=st.just(3),
    status=RUNS,
)
EVENTS = st.builds(
    Event,
    at=TIMES,
    reason=st.sampled_from(["RolloutAborted", "AnalysisRunFailed", "RolloutPaused"]),
    message=texts(),
    warning=st.booleans(),
    analysis=st.sampled_from(["", "run"]),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["setWeight: 20", "pause", "pause: 5m", "pause: x", "analysis", "experiment", "語" * 60]),
        st.sampled_from(["pending", "running", "done", "skipped", "failed"]),
        MAYBE,
        MAYBE,
    ),
    max_size=12,
).map(
    lambda rows: tuple(
        StepStatus(index=index, text=text, state=state, started_at=began, finished_at=ended)
        for index, (text, state, began, ended) in enumerate(rows)
    )
)
SETS = st.builds(
    ReplicaSetState,
    name=texts(30),
    hash=st.sampled_from(["65fb5ffc84", "877894d5b", "other"]),
    revision=st.integers(1, 4),
    desired=st.integers(0, 300),
    current=st.integers(0, 300),
    ready=st.integers(0, 300),
    images=st.dictionaries(texts(10), texts(), max_size=3),
    promoted_at=MAYBE,
    pods=st.lists(st.builds(PodState, name=texts(30), phase=texts(20), ready=st.booleans()), max_size=3).map(tuple),
)


@st.composite
def statuses(draw: st.DrawFn) -> ReleaseStatus:
    made = draw(STEPS)
    return release(
        name=draw(texts()),
        namespace=draw(texts(20)),
        cluster=draw(st.sampled_from(["default", "east"])),
        phase=draw(st.sampled_from(["Healthy", "Progressing", "Paused", "Degraded"])),
        aborting=draw(st.booleans()),
        finished_at=draw(MAYBE),
        steps=made,
        step_index=draw(st.none() | st.integers(0, len(made))),
        images=draw(st.dictionaries(texts(10), texts(), max_size=3)),
        replica_sets=tuple(draw(st.lists(SETS, max_size=4))),
        analyses=tuple(draw(st.lists(GATES, max_size=3))),
        events=tuple(draw(st.lists(EVENTS, max_size=12))),
        waiting=draw(st.none() | st.builds(Waiting, what=texts(), since=TIMES, until=MAYBE, who=texts())),
        manual_pause=draw(st.none() | st.builds(Message, by=texts(20), reason=texts())),
        incident=draw(st.none() | st.builds(IncidentRef, number=texts(20), sys_id=texts(4), url=texts())),
        compensations=draw(
            st.just(()) | st.just((CompensationStatus(name="incident", state="failed", detail="x" * 300),))
        ),
        warnings=tuple(draw(st.lists(texts(), max_size=2))),
        by=draw(texts(20)),
        source=Source(repository=draw(texts()), commit=draw(texts(40)), ci_url=draw(texts())),
    )


@settings(max_examples=40, deadline=None)
@given(statuses(), TIMES, st.integers(1, 160), st.integers(1, 60), st.booleans(), st.booleans())
def test_no_status_is_wider_or_higher_than_the_terminal(
    status: ReleaseStatus, now: datetime, width: int, height: int, colour: bool, pods: bool
) -> None:
    terminal = Terminal(width, height, colour=colour)
    lines = screen(status, None, now=now, terminal=terminal, pods=pods, trouble="x" * 200)
    assert 0 < len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    assert not any("\n" in line.plain or "\t" in line.plain for line in lines)
