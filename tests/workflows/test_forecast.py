"""A forecast: what a release could prove, asked for before it starts, by the counts that it would be judged by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog
import yaml

from tests.replay.replayer import replayer
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import World
from tests.workflows.edits import canary_of
from tidegate.cli.app import run
from tidegate.client import RefusedError, TidegateClient
from tidegate.contract import FORECAST_WORKFLOW, RELEASES_QUEUE, Document, ReleaseForecast, ReleaseRequest

Tidegate = Callable[..., Awaitable[int]]

COMPARISON: Document = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AnalysisTemplate",
    "metadata": {"name": "compare", "namespace": NAMESPACE},
    "spec": {
        "args": [{"name": "service-name"}],
        "metrics": [
            {
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
        ],
    },
}
ANALYSIS = {"templates": [{"templateName": "compare"}], "args": [{"name": "service-name", "value": "shop"}]}
STEPS = [
    {"setWeight": 10},
    {"pause": {"duration": "5m"}},
    {"setWeight": 50},
    {"analysis": ANALYSIS},
    {"pause": {"duration": "10m"}},
]


def compared(rollout: Document) -> None:
    canary_of(rollout).update(analysis=ANALYSIS, steps=STEPS)


def asked(world: World, tag: str = "1.1.0") -> ReleaseRequest:
    return world.request(tag, compared).model_copy(update={"templates": (COMPARISON,)})


async def forecast(world: World, tag: str = "1.1.0") -> ReleaseForecast:
    return await TidegateClient(world.client).forecast(asked(world, tag))


async def test_a_release_is_foretold_by_the_hour_before_and_its_weights(world: World) -> None:
    await world.deploy_stable()
    found = await forecast(world)
    [one] = found.comparisons
    assert (one.metric, one.source, one.error) == ("as-good-as-stable", "datadog", "")
    assert one.gates == ("background analysis", "step 4"), "one metric, asked for once"
    assert one.forecast is not None
    assert one.forecast.load == pytest.approx(100, rel=0.01)
    assert one.forecast.provable
    assert one.readings > 0
    assert [(weight.share, weight.last) for weight in found.weights] == [(0.1, False), (0.5, True)]
    assert found.pauses == 900
    [begun] = world.datadog.counting.begun
    assert begun.weights == found.weights
    assert begun.target.metric["provider"]["plugin"]["tidegate/compare"]["datadog"]["service"] == "shop"
    assert world.cluster.writes == [], "a forecast changes nothing"


async def test_versions_that_cannot_be_told_apart_are_said_before_the_release(world: World) -> None:
    await world.deploy_stable()
    world.datadog.counting.incomparable = True
    [one] = (await forecast(world)).comparisons
    assert one.refused
    assert "both versions have the same value version:1.2.0" in one.error
    assert one.forecast is None


async def test_the_stable_version_itself_is_foretold_as_another_one(world: World) -> None:
    await world.deploy_stable()
    found = await forecast(world, "1.0.0")
    assert [each.error for each in found.comparisons] == [""]
    assert "the forecast is for another version" in found.notes[0]
    [begun] = world.datadog.counting.begun
    assert begun.target.canary != begun.target.stable


async def test_a_first_version_is_not_compared(world: World) -> None:
    found = await forecast(world)
    assert found.comparisons == ()
    assert "nothing to be compared with" in found.notes[0]


async def test_a_manifest_that_a_release_would_refuse_is_refused(world: World) -> None:
    await world.deploy_stable()
    request = asked(world).model_copy(update={"templates": ()})
    with pytest.raises(RefusedError, match="compare"):
        await TidegateClient(world.client).forecast(request)


async def test_a_forecast_replays(world: World) -> None:
    await world.deploy_stable()
    handle = await world.client.start_workflow(
        FORECAST_WORKFLOW, asked(world), id="forecast/default/payments/checkout/1", task_queue=RELEASES_QUEUE
    )
    await handle.result()
    await replayer().replay_workflow(await handle.fetch_history())


@pytest.fixture(name="tidegate")
def fixture_tidegate(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tidegate:
    """Runs a command with the manifests of `asked`, in a thread since each brings its own event loop."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", world.client.service_client.config.target_host)
    request = asked(world)
    file = tmp_path / "manifests.yaml"
    file.write_text(yaml.safe_dump_all([request.rollout, *request.templates]))

    async def command(*arguments: str) -> int:
        try:
            return await asyncio.to_thread(run, [*arguments, "-f", str(file)])
        finally:
            structlog.reset_defaults()

    return command


async def test_plan_says_it_and_changes_nothing(
    world: World, tidegate: Tidegate, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.deploy_stable()
    assert await tidegate("plan") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "as-good-as-stable (background analysis, step 4): 100 requests/s, 0.5 % errors." in text
    assert await tidegate("plan", "-o", "json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["kind"], len(printed["comparisons"])) == ("ReleaseForecast", 1)
    assert world.cluster.writes == []


async def test_plan_is_refused_where_a_comparison_would_be(
    world: World, tidegate: Tidegate, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.deploy_stable()
    world.datadog.counting.incomparable = True
    assert await tidegate("plan") == 5
    assert "they cannot be told apart" in " ".join(capsys.readouterr().out.split())


async def test_start_says_it_beside_the_release_and_goes_on(
    world: World, tidegate: Tidegate, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.deploy_stable()
    assert await tidegate("start") == 0
    out, err = capsys.readouterr()
    assert "release accepted" in out
    assert "as-good-as-stable: 100 requests/s, 0.5 % errors." in " ".join(err.split())


async def test_start_goes_on_where_there_is_no_forecast(
    world: World, tidegate: Tidegate, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.deploy_stable()
    world.datadog.counting.incomparable = True
    assert await tidegate("start") == 0
    out, err = capsys.readouterr()
    assert "release accepted" in out
    assert "no forecast: datadog: both versions have the same value" in " ".join(err.split())
