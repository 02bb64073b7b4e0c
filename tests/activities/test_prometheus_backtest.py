"""A backtest by Prometheus' counters: versions are told apart by the names of their pods."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.metrics.comparison import CountQuery
from activities.metrics.prometheus.count_queries import versions_query
from sandbox.datadog.traffic import Traffic, VersionTraffic
from tests.activities.comparing import START, target
from tests.activities.outside import run_activity
from tests.activities.test_prometheus_comparison import SOURCE, standing_in
from tidegate.analysis.compare.backtest import Outcome
from tidegate.analysis.compare.history import HOUR, StableHour, VersionChange
from tidegate.analysis.compare.settings import comparison_of
from tidegate.contract import ErrorType, FindChanges, JudgeChange, JudgeStable, PastTarget, StableJudged, VersionHistory
from tidegate.manifests.providers.compare import Compare

HOUR_OF_START = round(START) // HOUR * HOUR
SECONDS = HOUR_OF_START + HOUR - round(START)
"""From the canary's first traffic to the end of its hour."""
CHANGE = VersionChange(canary="c0ffee", stable="5bb7bc", since=HOUR_OF_START, until=HOUR_OF_START + HOUR)
SETTINGS = {"prometheus": SOURCE, "events": [{"name": "errors", "plus": "2%"}, {"name": "slow90", "plus": "10%"}]}


def asked(rollout: str = "checkout", **more: Any) -> PastTarget:
    return PastTarget(namespace="payments", rollout=rollout, metric=target({**SETTINGS, **more}).metric)


def changing(errors: float = 0.005) -> Traffic:
    canary = VersionTraffic("2.0.0", rate=5, errors=errors, pods=2, since=START)
    before = VersionTraffic("1.0.0", rate=5, pods=2)
    return Traffic("checkout", (before, canary))


@pytest.mark.parametrize(("errors", "outcome"), [(0.005, Outcome.PROVEN), (0.2, Outcome.HARM)])
async def test_a_change_is_found_and_judged(errors: float, outcome: Outcome) -> None:
    async with standing_in(changing(errors), SECONDS) as (answering, release):
        request = FindChanges(target=asked(), start=HOUR_OF_START - HOUR, end=HOUR_OF_START + HOUR)
        found: VersionHistory = await run_activity(release.source.find_changes, request)
        assert found.changes == (CHANGE,)
        assert sum(answering.asked.values()) == found.queries == 1
        judged = await run_activity(release.source.judge_change, JudgeChange(target=asked(), change=CHANGE))
    # Half of the requests went to it until the counts ended: no plan and no end say that this was the last weight.
    [weight] = judged.weights
    assert (weight.since, weight.last) == (START, False)
    assert weight.share == pytest.approx(0.5, abs=0.02)
    expected = Outcome.HARM if outcome is Outcome.HARM else Outcome.UNDECIDED
    assert judged.judgements[0].outcome is expected, judged.judgements[0].sentence


async def test_a_version_is_compared_with_itself_by_its_pods_and_all_events() -> None:
    stable = Traffic("checkout", (VersionTraffic("1.0.0", rate=5, pods=3),))
    request = JudgeStable(target=asked(), hour=StableHour(version="5bb7bc", start=HOUR_OF_START), most=3)
    async with standing_in(stable, SECONDS) as (_, release):
        answered: StableJudged = await run_activity(release.source.judge_stable, request)
    assert answered.events == ("errors", "slow90")
    [counts] = answered.counts
    assert (counts.splits, counts.aborted) == (3, 0)


async def test_without_a_rollout_pods_have_no_names() -> None:
    request = FindChanges(target=asked(rollout=""), start=HOUR_OF_START - HOUR, end=HOUR_OF_START)
    async with standing_in(changing(), 0) as (_, release):
        with pytest.raises(ApplicationError, match="give the Rollout as well") as refused:
            await run_activity(release.source.find_changes, request)
    assert refused.value.type == ErrorType.REJECTED


def test_versions_are_the_hashes_in_the_names_of_pods() -> None:
    compare = Compare.model_validate(SETTINGS)
    query = CountQuery(compare, comparison_of(compare), "payments", "checkout.eu", ("", ""), ("", ""))
    pods = "checkout[.]eu-([a-z0-9]+)-[a-z0-9]+"
    assert versions_query(query) == (
        'sum by (tidegate_version) (label_replace(increase(http_requests_total{app="checkout",'
        f'pod=~"{pods}"}}[1h]), "tidegate_version", "$1", "pod", "{pods}"))'
    )
