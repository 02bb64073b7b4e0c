"""A backtest by Datadog's counts: changes of version are found, judged as a release would have been, and split."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from sandbox.datadog.server import DatadogApi
from sandbox.datadog.traffic import VersionTraffic
from sandbox.rate_limit import RateLimit
from tests.activities.comparing import SECRET, TRACE, Lived, datadog, target
from tests.activities.outside import run_activity
from tidegate.analysis.compare.backtest import Outcome
from tidegate.analysis.compare.history import HOUR, StableHour, VersionChange
from tidegate.analysis.compare.models import planned_weights
from tidegate.contract import (
    BeginComparison,
    ComparisonBegun,
    ErrorType,
    FindChanges,
    JudgeChange,
    JudgeStable,
    PastChange,
    PastTarget,
    StableJudged,
    VersionHistory,
)

BEGIN = 1_700_000_000 // HOUR * HOUR
FIRST = BEGIN + 2 * HOUR + 600
"""The canary's first traffic."""
END = BEGIN + 4 * HOUR
EVENTS = [{"name": "errors", "plus": "1%"}]
WEIGHTS = planned_weights([10, 50])
CHANGE = VersionChange(canary="2.0.0", stable="1.0.0", since=BEGIN + 2 * HOUR, until=BEGIN + 3 * HOUR)
QUERY_PATH = "/api/v2/query/timeseries"


def past(errors: float = 0.005) -> list[VersionTraffic]:
    """Ten requests a second: 10 % for ten minutes, 50 % for 25, and then all for the new version."""
    edges = [BEGIN, FIRST, FIRST + 600, FIRST + 2100, END]
    found = []
    for share, since, until in zip((0.0, 0.1, 0.5, 1.0), edges[:-1], edges[1:], strict=True):
        for version, part, bad in (("1.0.0", 1 - share, 0.005), ("2.0.0", share, errors)):
            if part:
                found.append(VersionTraffic(version, rate=10 * part, errors=bad, pods=4, since=since, until=until))
    return found


def settings(**more: Any) -> dict[str, Any]:
    return {"datadog": TRACE, "events": EVENTS, **more}


def asked(**more: Any) -> PastTarget:
    return PastTarget(namespace="payments", rollout="checkout", metric=target(settings(**more)).metric)


@asynccontextmanager
async def history(*versions: VersionTraffic) -> AsyncIterator[tuple[DatadogApi, Lived]]:
    async with datadog(*versions) as (api, lived):
        lived.clock.now = END
        yield api, lived


async def found(lived: Lived, start: int = BEGIN) -> VersionHistory:
    request = FindChanges(target=asked(), start=start, end=END)
    history: VersionHistory = await run_activity(lived.source.find_changes, request)
    return history


async def judged(lived: Lived, *sweep: str, change: VersionChange = CHANGE, **more: Any) -> PastChange:
    request = JudgeChange(target=asked(**more), change=change, weights=WEIGHTS, settings=sweep)
    answered: PastChange = await run_activity(lived.source.judge_change, request)
    return PastChange.model_validate_json(answered.model_dump_json())


async def test_a_change_and_the_hours_of_one_version_are_found() -> None:
    async with history(*past()) as (api, lived):
        seen = await found(lived)
        assert seen.changes == (CHANGE,)
        assert (seen.found, seen.queries, seen.begins) == (1, 1, BEGIN)
        assert seen.stable == (StableHour(version="1.0.0", start=BEGIN + HOUR),)
        assert api.requests[QUERY_PATH] == 1


async def test_a_month_is_asked_for_week_by_week() -> None:
    async with history(VersionTraffic("1.0.0", rate=1, since=BEGIN, until=BEGIN + 10)) as (api, lived):
        seen = await found(lived, BEGIN - 30 * 86_400 + 4 * HOUR)
        assert (seen.changes, seen.queries, api.requests[QUERY_PATH]) == ((), 5, 5)
        assert seen.begins == BEGIN, "it says how far back the counts go"


async def test_a_source_without_history_says_so() -> None:
    async with history(VersionTraffic("1.0.0", rate=1, since=END)) as (_, lived):
        with pytest.raises(ApplicationError, match="there is no history: no request of any version") as refused:
            await found(lived)
    assert refused.value.type == ErrorType.REJECTED


async def test_a_good_change_is_proven_with_weights_made_of_its_shares() -> None:
    async with history(*past()) as (_, lived):
        one = await judged(lived, "plus=2%", "maxWait=10m")
    assert [(weight.share, weight.last) for weight in one.weights] == [(0.1, False), (0.5, True)]
    assert [weight.since - FIRST for weight in one.weights] == [0, 600]
    written, looser, shorter = one.judgements
    assert written.outcome is Outcome.PROVEN, written.sentence
    assert looser.outcome is Outcome.PROVEN
    assert looser.seconds < written.seconds
    assert shorter.outcome is Outcome.UNDECIDED
    assert shorter.sentence.startswith("Given up after 10 min")


async def test_a_bad_change_is_harm_and_the_counts_are_read_once_for_all_settings() -> None:
    async with history(*past(errors=0.08)) as (api, lived):
        many = await judged(lived, "plus=0.5%", "plus=2%", "falseAbort=5%")
        assert api.requests[QUERY_PATH] == 4, "the first traffic, the hour before, its hosts, and the change"
    assert [(each.outcome, each.event) for each in many.judgements] == [(Outcome.HARM, "errors")] * 4
    assert many.judgements[3].seconds <= many.judgements[0].seconds


async def test_a_change_that_the_source_has_no_short_buckets_of_is_said() -> None:
    missing = CHANGE.model_copy(update={"canary": "3.0.0"})
    async with history(*past()) as (_, lived):
        with pytest.raises(ApplicationError, match="the source has no counts of 10 s of that time any more"):
            await judged(lived, change=missing)


async def test_a_setting_that_is_none_is_refused() -> None:
    async with history(*past()) as (_, lived):
        with pytest.raises(ApplicationError, match="no event 'slow90'; there are errors"):
            await judged(lived, "slow90.plus=1%")


async def test_a_version_is_compared_with_itself_by_its_hosts() -> None:
    request = JudgeStable(
        target=asked(events=[*EVENTS, {"name": "slow90"}]),
        hour=StableHour(version="1.0.0", start=BEGIN + HOUR),
        weights=WEIGHTS,
        settings=("plus=20%",),
        most=4,
    )
    async with history(*past()) as (_, lived):
        answered: StableJudged = await run_activity(lived.source.judge_stable, request)
    assert answered.events == ("errors",), "latency distributions know no hosts"
    written, loose = answered.counts
    assert (written.splits, written.aborted) == (4, 0)
    assert (loose.splits, loose.promoted) == (4, 4)


async def test_one_host_cannot_be_split() -> None:
    request = JudgeStable(target=asked(), hour=StableHour(version="1.0.0", start=BEGIN + HOUR), most=4)
    async with history(VersionTraffic("1.0.0", rate=1, pods=1, since=BEGIN)) as (_, lived):
        with pytest.raises(ApplicationError, match="1 groups of pods are known in that hour, and a split needs two"):
            await run_activity(lived.source.judge_stable, request)


async def test_a_rate_limit_says_when_to_go_on() -> None:
    async with history(*past()) as (api, lived):
        api.rate_limit = RateLimit(limit=1, period=3600)
        with pytest.raises(ApplicationError) as limited:
            await judged(lived)
    assert limited.value.type == ErrorType.RATE_LIMITED
    assert limited.value.next_retry_delay is not None
    assert SECRET["secret/argo-rollouts/datadog"]["apiKey"] not in limited.value.message


async def test_a_warm_up_is_learned_from_earlier_versions_and_said() -> None:
    cold = FIRST + 200
    old = VersionTraffic("1.0.0", rate=10, pods=2, since=BEGIN, until=FIRST + 1500)
    new = [
        VersionTraffic("2.0.0", rate=10, errors=0.3, pods=2, since=FIRST, until=cold),
        VersionTraffic("2.0.0", rate=10, pods=2, since=cold, until=END),
    ]
    async with history(old, *new) as (_, lived):
        started = await auto_warm_up(lived, "2.0.0")
        assert 180 <= started.wanted.warm_up <= 220
        assert started.notes == (f"warmUp: auto is {started.wanted.warm_up:g} s, learned from 1 earlier version",)


async def test_without_an_earlier_version_a_warm_up_is_a_minute() -> None:
    async with history(VersionTraffic("1.0.0", rate=10, pods=2, since=BEGIN)) as (_, lived):
        started = await auto_warm_up(lived, "1.0.0")
    assert started.wanted.warm_up == 60
    assert started.notes == ("warmUp: auto is 60 s, as no earlier version is known",)


async def auto_warm_up(lived: Lived, stable: str) -> ComparisonBegun:
    """A comparison that begins at the end of the history."""
    wanted = target(settings(warmUp="auto"), stable_version=stable, canary_version="3.0.0")
    started: ComparisonBegun = await run_activity(
        lived.source.begin, BeginComparison(target=wanted, at=END, first_traffic=END)
    )
    return started
