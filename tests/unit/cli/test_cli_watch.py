"""What is told of a release between two looks, and the exit code of each way that it can stand."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, ConsoleDimensions
from rich.text import Text

from tidegate.cli.exits import ExitCode, exit_code
from tidegate.cli.failures import error_block
from tidegate.cli.screen import Terminal
from tidegate.cli.verdicts import status_code
from tidegate.cli.watch import Frame, Pace, answers, changes, draw, drawn, print_changes, terminal_of, watch_release
from tidegate.client import (
    CompensationError,
    ConfigurationError,
    HeldError,
    InconclusiveError,
    InvalidSpecError,
    NoSuchReleaseError,
    NoWorkerError,
    RefusedError,
    RolledBackError,
    StillRunningError,
    StoppedError,
    SupersededError,
    TidegateError,
    UnreachableError,
)
from tidegate.client.actor import actor, source
from tidegate.contract import CompensationStatus, Event, Message, ReleaseStatus, Waiting

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def release(**changes: object) -> ReleaseStatus:
    status = ReleaseStatus(
        workflow_id="rollout/default/payments/checkout",
        run_id="1",
        cluster="default",
        namespace="payments",
        name="checkout",
        phase="Progressing",
        started_at=START,
    )
    return ReleaseStatus.model_validate(dict(status) | changes)


def plain(lines: list[Text]) -> list[str]:
    return [line.plain for line in lines]


def test_only_what_is_new_is_told_with_its_date() -> None:
    paused = Event(at=START, reason="RolloutPaused", message="Rollout is paused")
    aborted = Event(at=START.replace(minute=1), reason="RolloutAborted", message="gate failed", warning=True)
    before = release(events=(paused,), set_weight=10)
    after = release(events=(paused, aborted), set_weight=0, phase="Degraded", message="RolloutAborted")
    now = START.replace(minute=2)
    assert plain(changes(None, before, now)) == [
        "2026-03-01T12:00:00Z  RolloutPaused  Rollout is paused",
        "2026-03-01T12:02:00Z  ◌ Progressing  weight 10 (actual 0)",
    ]
    assert plain(changes(before, after, now)) == [
        "2026-03-01T12:01:00Z  ⚠ RolloutAborted  gate failed",
        "2026-03-01T12:02:00Z  ✖ Degraded - RolloutAborted  weight 0 (actual 0)",
    ]
    assert changes(after, after, now) == []


def frame(seconds: float, **more: Any) -> Frame[ReleaseStatus]:
    trouble = more.pop("trouble", "")
    return Frame(release(**more), trouble=trouble, at=START + timedelta(seconds=seconds))


async def each(*frames: Frame[ReleaseStatus]) -> AsyncIterator[Frame[ReleaseStatus]]:
    for one in frames:
        yield one


async def test_trouble_is_told_once_and_the_last_answer_stands() -> None:
    out = io.StringIO()
    await print_changes(
        Console(file=out, width=200),
        each(
            frame(0),
            frame(1, trouble="no worker answered"),
            frame(2, trouble="no worker answered"),
            frame(3, set_weight=25),
        ),
    )
    assert out.getvalue().splitlines() == [
        "2026-03-01T12:00:00Z  ◌ Progressing  weight 0 (actual 0)",
        "2026-03-01T12:00:01Z  ⚠ no worker answered",
        "2026-03-01T12:00:03Z  ◌ Progressing  weight 25 (actual 0)",
    ]


async def test_a_pipe_has_a_line_a_minute_while_nothing_changes() -> None:
    out = io.StringIO()
    waiting = Waiting(what="the pause", since=START, until=START + timedelta(minutes=5), who="promote")
    frames = [frame(second, waiting=waiting) for second in range(150)]
    await print_changes(Console(file=out, width=200), each(*frames))
    assert out.getvalue().splitlines() == [
        "2026-03-01T12:00:00Z  ◌ Progressing  weight 0 (actual 0)",
        *(
            f"2026-03-01T12:0{minute}:00Z  unchanged: ◌ Progressing  weight 0 (actual 0)  "
            "waits for the pause until 12:05:00 UTC"
            for minute in (1, 2)
        ),
    ]


@pytest.mark.parametrize(
    "terminal", [{"force_terminal": False}, {"force_terminal": True, "_environ": {"TERM": "dumb"}}]
)
async def test_where_no_cursor_moves_a_release_is_told_line_by_line(terminal: dict[str, Any]) -> None:
    out = io.StringIO()
    await watch_release(Console(file=out, width=200, color_system=None, **terminal), each(frame(0)))
    assert out.getvalue() == "2026-03-01T12:00:00Z  ◌ Progressing  weight 0 (actual 0)\n"


async def test_a_release_is_watched_over_its_end_and_into_the_next_one() -> None:
    runs = [release(), release(finished_at=START), release(finished_at=START), release(run_id="2")]

    async def query() -> ReleaseStatus:
        return runs.pop(0)

    found = []
    frames = answers(query, lambda status: status.finished_at is not None, stay=True, pace=Pace(0, 0))
    async for one in frames:
        found.append(one.status.run_id)
        if not runs:
            break
    await frames.aclose()
    assert found == ["1", "1", "1", "2"]


def test_no_colour_changes_what_is_drawn_and_not_only_how() -> None:
    def of(**environ: str) -> bool:
        console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm-256color", **environ})
        return terminal_of(console).colour

    assert (of(), of(NO_COLOR="1")) == (True, False)


async def test_off_a_terminal_a_block_is_written_only_when_it_differs() -> None:
    async def blocks() -> AsyncIterator[list[Text]]:
        for line in ("one", "one", "two"):
            yield [Text(line)]

    out = io.StringIO()
    await draw(Console(file=out), blocks())
    assert out.getvalue() == "one\ntwo\n"


def on_terminal(out: io.StringIO, width: int = 40, height: int = 5) -> Console:
    return Console(
        file=out, force_terminal=True, width=width, height=height, color_system=None, _environ={"TERM": "xterm"}
    )


async def test_on_a_terminal_the_last_block_stays_whole_however_tall_it_is() -> None:
    async def blocks() -> AsyncIterator[list[Text]]:
        yield [Text(f"line {number}") for number in range(30)]

    out = io.StringIO()
    await draw(on_terminal(out), blocks())
    live, last = out.getvalue().split("\x1b[4A")  # from the fifth line up to the first one
    assert live.count("line") == 5
    assert [last.count(f"line {number}\x1b[K") for number in range(29)] == [1] * 29


async def test_a_frame_is_one_write_over_the_one_before_and_clears_no_line_first() -> None:
    class Writes(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            self.each: list[str] = []

        def write(self, text: str) -> int:
            self.each.append(text)
            return super().write(text)

    out = Writes()
    await watch_release(on_terminal(out, 80, 24), each(frame(0), frame(1, phase="Healthy", finished_at=START)))
    _, first, second, left = [text for text in out.each if text]
    rows = first.count("\r\n") + 1
    assert f"\r\x1b[{rows - 1}A" in second
    assert "\x1b[2J" not in first + second
    for text in (first, second):
        body = text.partition("\x1b[K")[0]
        assert "checkout" in body  # the first line is written before anything of it is cleared
    assert "Healthy" in second
    assert left.endswith("\r\n\x1b[?25h")


async def test_a_frame_starts_anew_where_the_terminal_has_another_size() -> None:
    out = io.StringIO()
    console = on_terminal(out, 80, 24)

    async def frames() -> AsyncIterator[Frame[ReleaseStatus]]:
        yield frame(0)
        console.size = ConsoleDimensions(60, 10)
        yield frame(1)

    await watch_release(console, frames())
    second = out.getvalue().split("\x1b[2J\x1b[H")[1]
    assert second.count("\r\n") <= 10
    assert next(line.plain for line in drawn(frame(1), Terminal(60, 10))) in second


WAITING = Waiting(what="a pause", since=START, who="promote", only_operator=True)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (release(), ExitCode.STILL_RUNNING),
        (release(phase="Healthy"), ExitCode.STILL_RUNNING),
        (release(phase="Healthy", finished_at=START), ExitCode.OK),
        (release(phase="Degraded", finished_at=START), ExitCode.ROLLED_BACK),
        (release(phase="Paused", waiting=WAITING), ExitCode.HELD),
        (release(waiting=WAITING), ExitCode.STILL_RUNNING),  # an analysis, which ends by itself
        (release(phase="Paused", waiting=WAITING.model_copy(update={"until": START})), ExitCode.STILL_RUNNING),
        (
            release(
                phase="Paused",
                manual_pause=Message(by="ana"),
                waiting=WAITING.model_copy(update={"until": START}),
            ),
            ExitCode.HELD,
        ),
        (
            release(
                phase="Degraded",
                finished_at=START,
                compensations=(CompensationStatus(name="traffic to stable", state="failed"),),
            ),
            ExitCode.COMPENSATION_FAILED,
        ),
    ],
)
def test_exit_code_of_a_release_as_it_stands(status: ReleaseStatus, code: ExitCode) -> None:
    assert status_code(status) is code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RolledBackError("x"), 2),
        (InconclusiveError("x"), 2),
        (HeldError(WAITING), 3),
        (StillRunningError("x"), 4),
        (NoWorkerError("x"), 4),
        (RefusedError("x"), 5),
        (InvalidSpecError("x"), 5),
        (SupersededError("x"), 5),
        (CompensationError("x"), 6),
        (StoppedError("x"), 6),
        (ConfigurationError("x"), 64),
        (NoSuchReleaseError("x"), 7),
        (UnreachableError("x"), 8),
        (TidegateError("x"), 1),
    ],
)
def test_exit_code_of_an_error(error: TidegateError, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_is_one_block_with_its_remedy() -> None:
    assert error_block("weight 120", "use 0 to 100").plain == "error: weight 120\nremedy: use 0 to 100"
    assert error_block("weight 120").plain == "error: weight 120"


def test_the_actor_is_the_ci_systems_else_the_login() -> None:
    assert actor({"GITHUB_ACTOR": "alice"}) == "alice@github"
    assert "@" in actor({})


def test_a_ci_job_says_where_the_change_came_from() -> None:
    job = source(
        {
            "GITHUB_REPOSITORY": "payments/checkout",
            "GITHUB_SHA": "0a1b",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "7",
        }
    )
    assert (job.repository, job.commit) == ("payments/checkout", "0a1b")
    assert job.ci_url == "https://github.com/payments/checkout/actions/runs/7"
    assert source({}).ci_url == ""
