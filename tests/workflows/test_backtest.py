"""A backtest: the workflow asks for changes, has each judged, and goes on where one cannot be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from tests.replay.replayer import replayer
from tests.virtual.time_skipping import served, time_skipping
from tidegate.analysis.compare.backtest import Outcome, PastJudgement
from tidegate.analysis.compare.history import StableHour, VersionChange
from tidegate.analysis.compare.models import Weight
from tidegate.cli.app import run
from tidegate.client import RefusedError, TidegateClient, backtest_request, most_series
from tidegate.contract import (
    BACKTEST_WORKFLOW,
    RELEASES_QUEUE,
    Activity,
    BacktestReport,
    BacktestRequest,
    Document,
    ErrorType,
    FindChanges,
    JudgeChange,
    JudgeStable,
    PastChange,
    SplitCounts,
    StableJudged,
    VersionHistory,
    metrics_queue,
)
from workers.wiring import workflow_runner
from workflows.backtest import Backtest

DAY = 86_400
COMPARE = {
    "name": "as-good-as-stable",
    "provider": {
        "plugin": {
            "tidegate/compare": {
                "datadog": {"service": "{{args.service-name}}", "operation": "http.request"},
                "events": [{"name": "errors"}],
            }
        }
    },
}
THRESHOLD = {
    "name": "error-rate",
    "interval": "1m",
    "count": 3,
    "successCondition": "result < 0.05",
    "provider": {"datadog": {"apiVersion": "v2", "query": "avg:system.load.1{*}"}},
}
TEMPLATE: Document = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AnalysisTemplate",
    "metadata": {"name": "compare", "namespace": "payments"},
    "spec": {"args": [{"name": "service-name"}], "metrics": [COMPARE, THRESHOLD]},
}
ARGUMENTS = {"service-name": "shop"}
CHANGES = tuple(
    VersionChange(canary=f"1.{number}.0", stable=f"1.{number - 1}.0", since=number * DAY, until=number * DAY + 3600)
    for number in (1, 2, 3)
)
PROVEN = PastJudgement(outcome=Outcome.PROVEN, event="errors", sentence="Proven, errors: 1 of 2.", seconds=720)


class Source:
    """Stands in for a source: what it is asked, and three changes of which the second cannot be judged."""

    def __init__(self) -> None:
        self.failing: ApplicationError | None = None
        self.limited = 1
        self.asked: list[FindChanges | JudgeChange | JudgeStable] = []

    @activity.defn(name=Activity.FIND_CHANGES_DATADOG)
    async def find(self, request: FindChanges) -> VersionHistory:
        self.asked.append(request)
        if self.failing is not None:
            raise self.failing
        hours = tuple(StableHour(version="1.0.0", start=at * 3600) for at in (1, 2))
        return VersionHistory(changes=CHANGES, found=7, stable=hours, begins=DAY, queries=5)

    @activity.defn(name=Activity.JUDGE_CHANGE_DATADOG)
    async def judge(self, request: JudgeChange) -> PastChange:
        self.asked.append(request)
        if request.change == CHANGES[1]:
            raise ApplicationError("datadog: no counts", type=ErrorType.REJECTED, non_retryable=True)
        if self.limited:
            self.limited -= 1
            delay = timedelta(seconds=60)
            raise ApplicationError("datadog: rate limit", type=ErrorType.RATE_LIMITED, next_retry_delay=delay)
        weights = (Weight(since=request.change.since, share=0.5, last=True),)
        judged = (PROVEN,) * (1 + len(request.settings))
        return PastChange(change=request.change, weights=weights, judgements=judged, queries=10)

    @activity.defn(name=Activity.JUDGE_STABLE_DATADOG)
    async def same(self, request: JudgeStable) -> StableJudged:
        self.asked.append(request)
        counts = SplitCounts(splits=request.most, promoted=request.most - 6)
        return StableJudged(counts=(counts,) * (1 + len(request.settings)), events=("errors",), queries=2)


class World:
    """A server with the workflow and the source."""

    def __init__(self, client: Client, source: Source) -> None:
        self.client = client
        self.source = source

    async def report(self, *settings: str) -> BacktestReport:
        return await TidegateClient(self.client).backtest(request(*settings))


@pytest.fixture(name="world")
async def fixture_world() -> AsyncIterator[World]:
    async with await time_skipping() as env:
        source = Source()
        runs = Worker(env.client, task_queue=RELEASES_QUEUE, workflows=[Backtest], workflow_runner=workflow_runner())
        activities = [source.find, source.judge, source.same]
        counts = Worker(env.client, task_queue=metrics_queue("datadog"), activities=activities)
        async with served(env, runs), served(env, counts):
            yield World(env.client, source)


def request(*settings: str, template: Document = TEMPLATE) -> BacktestRequest:
    month = timedelta(days=30)
    return backtest_request([template], None, ARGUMENTS, namespace="payments", since=month, settings=settings)


async def test_every_change_is_judged_and_one_that_cannot_be_stops_nothing(world: World) -> None:
    found = await world.report("plus=0.5%")
    [one] = found.comparisons
    assert (one.metric, one.source, one.error, one.found) == ("as-good-as-stable", "datadog", "", 7)
    assert [(each.error, len(each.judgements)) for each in one.changes] == [("", 2), ("datadog: no counts", 0), ("", 2)]
    assert one.same == (SplitCounts(splits=200, promoted=188),) * 2
    assert (one.hours, one.same_events, one.thresholds) == (2, ("errors",), ("error-rate",))
    assert one.queries == 5 + 2 * 10 + 2 * 2
    assert found.end - found.start == 30 * DAY
    first = world.source.asked[0]
    assert first.target.metric["provider"]["plugin"]["tidegate/compare"]["datadog"]["service"] == "shop"
    assert world.source.limited == 0, "a rate limit is waited for"


@pytest.mark.parametrize(("kind", "refused"), [(ErrorType.REJECTED, True), (ErrorType.UNAVAILABLE, False)])
async def test_without_an_answer_of_the_source_the_report_says_why(
    world: World, kind: ErrorType, refused: bool
) -> None:
    world.source.failing = ApplicationError("datadog: there is no history", type=kind, non_retryable=refused)
    [one] = (await world.report()).comparisons
    assert (one.error, one.refused, one.changes) == ("datadog: there is no history", refused, ())


async def test_a_backtest_replays(world: World) -> None:
    handle = await world.client.start_workflow(
        BACKTEST_WORKFLOW, request(), id="backtest/payments/templates/1", task_queue=RELEASES_QUEUE
    )
    await handle.result()
    await replayer().replay_workflow(await handle.fetch_history())


async def test_what_is_no_request_is_refused(world: World) -> None:
    broken = BacktestRequest(namespace="payments", specs=({"metrics": [COMPARE]},), since=DAY)
    with pytest.raises(RefusedError, match="service-name"):
        await TidegateClient(world.client).backtest(broken)
    assert world.source.asked == []


@pytest.fixture(name="tidegate")
def fixture_tidegate(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Awaitable[int]]:
    """Runs the command with the template, in a thread since it brings its own event loop."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", world.client.service_client.config.target_host)
    file = tmp_path / "template.yaml"
    file.write_text(yaml.safe_dump(TEMPLATE))

    async def command(*arguments: str) -> int:
        try:
            return await asyncio.to_thread(run, ["backtest", "-f", str(file), *arguments])
        finally:
            structlog.reset_defaults()

    return command


async def test_the_command_says_what_it_reads_and_then_what_was_found(
    world: World, tidegate: Callable[..., Awaitable[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    world.source.limited = 0  # this clock is not skipped
    assert await tidegate("--arg", "service-name=shop", "--sweep", "plus=0.1%,0.5%", "--since", "30d") == 0
    out, err = capsys.readouterr()
    assert f"reads at most {most_series(request()):,} series; nothing is changed" in err
    text = " ".join(out.split())
    assert "the newest 3 of 7 changes of version" in text
    assert "with plus=0.5%: Proven after 12 min" in text
    assert "false aborts 0 of 200, promotions 188 of 200" in text
    assert await tidegate("--arg", "service-name=shop", "-o", "json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["kind"], len(printed["comparisons"])) == ("BacktestReport", 1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 5, "arguments without a value: service-name"),
        (("--arg", "service-name=shop", "--sweep", "bucket=30s"), 5, "no setting 'bucket'"),
        (("--arg", "service-name=shop", "--sweep", "plus"), 64, "is not NAME=VALUE"),
        (("--arg", "service-name=shop", "--since", "365d"), 5, "since"),
    ],
)
async def test_what_cannot_be_asked_is_refused_before_anything_is_read(
    world: World,
    tidegate: Callable[..., Awaitable[int]],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    assert await tidegate(*arguments) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert world.source.asked == []


def test_a_template_without_a_comparison_has_nothing_to_judge() -> None:
    template: dict[str, Any] = {**TEMPLATE, "spec": {"args": TEMPLATE["spec"]["args"], "metrics": [THRESHOLD]}}
    with pytest.raises(RefusedError, match="no metric compares the canary with stable"):
        request(template=template)
