"""What is told of a release between two looks, and the exit code of each way that it can stand."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.text import Text

from tidegate.cli.actor import actor, source
from tidegate.cli.exits import ExitCode, error_block, exit_code, status_code
from tidegate.cli.watch import Frame, changes, draw, print_changes
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


def test_only_what_is_new_is_told() -> None:
    paused = Event(at=START, reason="RolloutPaused", message="Rollout is paused")
    aborted = Event(at=START.replace(minute=1), reason="RolloutAborted", message="gate failed", warning=True)
    before = release(events=(paused,), set_weight=10)
    after = release(events=(paused, aborted), set_weight=0, phase="Degraded", message="RolloutAborted")
    assert plain(changes(None, before)) == [
        "12:00:00  RolloutPaused  Rollout is paused",
        "◌ Progressing  weight 10 (actual 0)",
    ]
    assert plain(changes(before, after)) == [
        "12:01:00  ⚠ RolloutAborted  gate failed",
        "✖ Degraded - RolloutAborted  weight 0 (actual 0)",
    ]
    assert changes(after, after) == []


async def test_trouble_is_told_once_and_the_last_answer_stands() -> None:
    async def frames() -> AsyncIterator[Frame]:
        yield Frame(release())
        yield Frame(release(), trouble="no worker answered")
        yield Frame(release(), trouble="no worker answered")
        yield Frame(release(set_weight=25))

    out = io.StringIO()
    await print_changes(Console(file=out, width=200), frames())
    assert out.getvalue().splitlines() == [
        "◌ Progressing  weight 0 (actual 0)",
        "⚠ no worker answered",
        "◌ Progressing  weight 25 (actual 0)",
    ]


async def test_off_a_terminal_a_block_is_written_only_when_it_differs() -> None:
    async def blocks() -> AsyncIterator[list[Text]]:
        for line in ("one", "one", "two"):
            yield [Text(line)]

    out = io.StringIO()
    await draw(Console(file=out), blocks())
    assert out.getvalue() == "one\ntwo\n"


async def test_on_a_terminal_the_last_block_stays_whole_however_tall_it_is() -> None:
    async def blocks() -> AsyncIterator[list[Text]]:
        yield [Text(f"line {number}") for number in range(30)]

    out = io.StringIO()
    await draw(Console(file=out, force_terminal=True, width=40, height=5), blocks())
    assert out.getvalue().endswith("".join(f"line {number}\n" for number in range(30)))


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
