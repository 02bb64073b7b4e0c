"""Comparisons in an analysis run: counts are read, folded and judged until the versions are told apart, or proven."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from tests.activities.outside import run_activity
from tests.replay.replayer import replayer
from tests.workflows.analysis_double import World, metric, only, open_analysis_world
from tests.workflows.counting_double import START
from tidegate.analysis.compare.models import Ruling, Weight
from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.contract import (
    AnalysisKind,
    AnalysisRequest,
    BeginComparison,
    ComparedVersions,
    CompareRequest,
    CompareTarget,
    ComparisonBegun,
    ComparisonsSaved,
    ErrorType,
    Signal,
    WeightsChanged,
)

HALF = Weight(since=START, share=0.5, canary_pods=3, stable_pods=3, index=0, last=True)
VERSIONS = ComparedVersions(rollout="shop", canary="c1", stable="s1", canary_version="2", stable_version="1")


@pytest.fixture(name="world")
async def fixture_world() -> AsyncIterator[World]:
    async for world in open_analysis_world():
        yield world


def compare(name: str = "as-good-as-stable", **settings: Any) -> dict[str, Any]:
    datadog = {"service": "shop", "operation": "http.request"}
    events = [{"name": "errors"}]
    return {
        "name": name,
        "provider": {"plugin": {"tidegate/compare": {"datadog": datadog, "events": events, **settings}}},
    }


def asked(*metrics: dict[str, Any], kind: AnalysisKind = AnalysisKind.STEP, **fields: Any) -> AnalysisRequest:
    spec = {"metrics": list(metrics), **fields.pop("spec", {})}
    given = {"versions": VERSIONS, "weights": (HALF,), "planned_weights": (HALF,), **fields}
    return AnalysisRequest(namespace="payments", name="run", spec=spec, kind=kind, **given)


def measured(status: AnalysisStatus) -> tuple[str, str]:
    """Ruling and sentence of the newest measurement."""
    newest = only(status).measurements[-1]
    return newest.metadata.get("ruling", ""), newest.value


async def test_a_version_as_good_as_stable_is_proven_and_the_gate_ends(world: World) -> None:
    handle = await world.start(asked(compare()))
    status = (await handle.result()).status
    assert (status.phase, only(status).phase) == (Phase.SUCCESSFUL, Phase.SUCCESSFUL)
    ruling, sentence = measured(status)
    assert (ruling, sentence[:15]) == ("clear", "Proven, errors:"), sentence
    assert world.provider.counting.now - START >= 600, "no sooner than minBake"
    [begun] = world.provider.counting.begun
    assert (begun.target.canary, begun.first_traffic, begun.weights) == ("c1", START, (HALF,))
    await replayer().replay_workflow(await handle.fetch_history())


async def test_a_version_with_more_errors_fails_the_run_with_its_sentence(world: World) -> None:
    world.provider.counting.times = 5.0
    status = await world.status(asked(compare(), kind=AnalysisKind.BACKGROUND))
    assert status.phase is Phase.FAILED
    assert "Harm, errors:" in status.message, status.message
    assert world.provider.counting.now - START < 600, "harm is not waited for"


async def test_beside_the_steps_nothing_ends_before_it_is_to_be_concluded(world: World) -> None:
    handle = await world.start(asked(compare(), kind=AnalysisKind.BACKGROUND))
    status = await world.until(handle, lambda status: bool(status.metrics) and "clear" in str(status))
    assert (status.phase, only(status).phase) == (Phase.RUNNING, Phase.RUNNING)
    await handle.signal(Signal.SETTLE)
    status = (await handle.result()).status
    assert (status.phase, measured(status)[0]) == (Phase.SUCCESSFUL, "clear")
    newest = world.provider.counting.read[-1]
    assert (newest.concludes, newest.ruling) == (True, Ruling.WAIT), "the first reading that says clear is handed over"
    await replayer().replay_workflow(await handle.fetch_history())


async def test_what_is_to_be_concluded_goes_on_until_it_is_decided(world: World) -> None:
    world.provider.counting.load = 2.0
    handle = await world.start(asked(compare(maxWait="20m"), kind=AnalysisKind.BACKGROUND))
    await handle.signal(Signal.SETTLE)
    status = (await handle.result()).status
    assert (status.phase, measured(status)[0]) == (Phase.INCONCLUSIVE, "undecided")
    assert "Given up after 20 min" in measured(status)[1]
    assert world.provider.counting.now - START >= 1200


async def test_a_run_that_is_ended_before_it_is_decided_proves_nothing(world: World) -> None:
    world.provider.counting.load = 2.0
    handle = await world.start(asked(compare(), kind=AnalysisKind.BACKGROUND))
    await world.until(handle, lambda status: bool(status.metrics) and bool(only(status).measurements))
    await handle.signal(Signal.TERMINATE)
    assert (await handle.result()).status.phase is Phase.INCONCLUSIVE


async def test_nothing_is_read_before_a_weight_took_effect(world: World) -> None:
    handle = await world.start(asked(compare(), kind=AnalysisKind.BACKGROUND, weights=()))
    await handle.signal(Signal.WEIGHTS, "no weights at all")
    await world.until(handle, lambda status: status.phase is Phase.RUNNING)
    assert world.provider.counting.begun == []
    await handle.signal(Signal.WEIGHTS, WeightsChanged(weights=(HALF,)))
    await handle.signal(Signal.SETTLE)
    assert (await handle.result()).status.phase is Phase.SUCCESSFUL
    assert {request.weights for request in world.provider.counting.read} == {(HALF,)}


async def test_a_newer_weight_is_read_under_at_once(world: World) -> None:
    first = HALF.model_copy(update={"share": 0.5, "last": False})
    handle = await world.start(asked(compare(), kind=AnalysisKind.BACKGROUND, weights=(first,)))
    await world.until(handle, lambda status: bool(status.metrics) and bool(only(status).measurements))
    second = HALF.model_copy(update={"since": world.provider.counting.now, "index": 1})
    await handle.signal(Signal.WEIGHTS, WeightsChanged(weights=(first, second)))
    await handle.signal(Signal.SETTLE)
    status = (await handle.result()).status
    assert (status.phase, only(status).measurements[-1].metadata["since"]) == (
        Phase.SUCCESSFUL,
        f"{second.since:.3f}",
    )


async def test_versions_that_cannot_be_told_apart_are_inconclusive(world: World) -> None:
    world.provider.counting.incomparable = True
    status = await world.status(asked(compare()))
    assert status.phase is Phase.INCONCLUSIVE
    assert "both versions have the same value version:1.2.0" in measured(status)[1]
    assert len(world.provider.counting.begun) == 1, "asking again cannot help"


async def test_a_threshold_beside_it_is_measured_in_its_own_time_and_ends_it(world: World) -> None:
    world.provider.script = {"m": [0.1, 0.1, 2]}
    threshold = metric(interval="1s", failureLimit=0, failureCondition="result >= 1")
    status = await world.status(asked(threshold, compare(minBake="24h"), kind=AnalysisKind.BACKGROUND))
    assert status.phase is Phase.FAILED
    assert [each.phase for each in status.metrics] == [Phase.FAILED, Phase.INCONCLUSIVE]


async def test_in_the_shadow_it_is_shown_and_decides_nothing(world: World) -> None:
    world.provider.counting.times = 5.0
    world.provider.script = {"m": [0.1]}
    dry = {"dryRun": [{"metricName": "as-good-as-stable"}]}
    threshold = metric(interval="10s", count=5)
    status = await world.status(asked(threshold, compare(), spec=dry))
    assert (status.phase, status.message) == (Phase.SUCCESSFUL, "")


async def test_a_comparison_in_the_shadow_holds_no_run_back(world: World) -> None:
    world.provider.counting.load = 0.0
    world.provider.script = {"m": [0.1]}
    dry = {"dryRun": [{"metricName": "as-good-as-stable"}]}
    status = await world.status(asked(metric(interval="10s", count=2), compare(), spec=dry))
    assert (status.phase, status.message) == (Phase.SUCCESSFUL, "")


async def test_a_source_that_fails_is_an_error_and_never_a_success(world: World) -> None:
    world.provider.counting.failing = "Datadog is on fire"
    status = await world.status(asked(compare()))
    assert status.phase is Phase.ERROR
    assert "Datadog is on fire" in status.message


async def test_a_measurement_has_the_weight_and_the_share_that_is_seen(world: World) -> None:
    status = await world.status(asked(compare()))
    metadata = only(status).measurements[-1].metadata
    assert metadata["weight"] == "0.5"
    assert float(metadata["seen"]) == pytest.approx(0.5, abs=0.02)


TENTH = Weight(since=START - 1800, share=0.1, index=0)
ALL = Weight(since=START, share=1.0, index=1)


async def baked(world: World, *, settles: bool = True) -> AnalysisStatus:
    """A bake that is asked for its verdict once it has read something."""
    handle = await world.start(asked(compare(), kind=AnalysisKind.BAKE, weights=(TENTH, ALL)))
    await world.until(handle, lambda status: bool(status.metrics) and bool(only(status).measurements))
    if settles:
        await handle.signal(Signal.SETTLE)
    return (await handle.result()).status


async def test_at_full_traffic_errors_are_held_against_the_hour_before_the_release(world: World) -> None:
    status = await baked(world)
    assert (status.phase, measured(status)[0]) == (Phase.SUCCESSFUL, "clear")
    assert measured(status)[1].startswith("Watched, errors: "), measured(status)
    assert "of stable in the hour before" in measured(status)[1]
    [begun] = world.provider.counting.begun
    assert (begun.at, begun.first_traffic, begun.kind) == (TENTH.since, ALL.since, AnalysisKind.BAKE)
    assert "proof" not in only(status).measurements[-1].metadata, "nothing is proven by it"


async def test_harm_at_full_traffic_ends_a_bake_at_once(world: World) -> None:
    world.provider.counting.times = 12.0
    status = await baked(world, settles=False)
    assert status.phase is Phase.FAILED
    assert "Harm, errors:" in status.message
    assert world.provider.counting.now - START < 600


async def test_a_bake_without_requests_is_inconclusive(world: World) -> None:
    world.provider.counting.load = 0.0
    status = await baked(world)
    assert status.phase is Phase.INCONCLUSIVE
    assert "No data" in measured(status)[1]


@pytest.mark.parametrize("kind", [AnalysisKind.STEP, AnalysisKind.BACKGROUND])
async def test_a_canary_that_never_had_a_weight_is_inconclusive(world: World, kind: AnalysisKind) -> None:
    handle = await world.start(asked(compare(), kind=kind, weights=()))
    if kind is AnalysisKind.BACKGROUND:
        await handle.signal(Signal.SETTLE)
    status = (await handle.result()).status
    assert status.phase is Phase.INCONCLUSIVE
    assert "never got a weight" in measured(status)[1]
    assert world.provider.counting.begun == []


async def stored(world: World) -> dict[str, Any]:
    """A run's comparisons as it would leave them to the next part of itself."""
    request = asked(compare())
    target = CompareTarget(namespace="payments", run="run", metric=compare(), **VERSIONS.model_dump())
    begun = await run_activity(
        world.provider.counting.begin,
        BeginComparison(target=target, at=START, first_traffic=START, weights=request.planned_weights),
    )
    saved: dict[str, Any] = ComparisonsSaved(
        baselines={"as-good-as-stable": begun}, weights=request.weights, concludes=True
    ).model_dump(mode="json")
    return saved


@pytest.mark.parametrize("part", ["checkpoint", "table"])
async def test_a_stored_state_of_another_version_begins_anew_and_says_so(world: World, part: str) -> None:
    saved = await stored(world)
    saved["baselines"]["as-good-as-stable"]["state"][part] = {"version": 7, "unlike": "this one"}
    world.provider.counting.begun.clear()
    handle = await world.start(asked(compare()), None, saved)
    status = (await handle.result()).status
    assert status.phase is Phase.SUCCESSFUL
    assert len(world.provider.counting.begun) == 1, "the hour before is read again"
    assert (
        only(status)
        .measurements[-1]
        .reason.endswith("has version 7, and this code reads 1: it began anew, from the first traffic")
    )


async def test_a_stored_state_of_this_version_goes_on_in_silence(world: World) -> None:
    saved = await stored(world)
    world.provider.counting.begun.clear()
    status = (await (await world.start(asked(compare()), None, saved)).result()).status
    assert status.phase is Phase.SUCCESSFUL
    assert world.provider.counting.begun == []
    assert "began anew" not in only(status).measurements[-1].reason


async def test_a_worker_leaves_a_state_that_it_does_not_read_to_another(world: World) -> None:
    begun = ComparisonBegun.model_validate((await stored(world))["baselines"]["as-good-as-stable"])
    newer = begun.state.model_copy(update={"table": begun.state.table.model_copy(update={"version": 2})})
    target = CompareTarget(namespace="payments", run="run", metric=compare(), **VERSIONS.model_dump())
    request = CompareRequest(target=target, wanted=begun.wanted, state=newer, weights=(HALF,), first_traffic=START)
    with pytest.raises(ApplicationError, match="has version 2, and this code reads 1: update this worker") as refused:
        await run_activity(world.provider.counting.compare, request)
    assert refused.value.type == ErrorType.UNAVAILABLE
    assert not refused.value.non_retryable, "the next attempt may come to a worker that reads it"
