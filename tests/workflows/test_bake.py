"""The watch at 100 %: what it lets through, what it undoes, who ends it, and what is refused for one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.virtual.releases import World, release_world
from tests.workflows.edits import with_steps
from tests.workflows.watched import failure
from tidegate.contract import Accepted, AnalysisRef, Document, ErrorType, ReleaseStatus

Edit = Callable[[dict[str, Any]], None]
NAMED = "checkout-canary-datadog"
BAD: list[float | None] = [0.2]
UNCLEAR: list[float | None] = [0.02]


def baked(bake: str | None = "30m", templates: str | None = None, *, args: bool = True, **spec: Any) -> Edit:
    """One weight, for long enough that the analysis beside it has its verdict."""
    annotations = {"tidegate.io/bake": bake, "tidegate.io/bake-templates": templates}

    def edit(rollout: dict[str, Any]) -> None:
        canary = rollout["spec"]["strategy"]["canary"]
        analysis = canary["analysis"]
        with_steps({"setWeight": 50}, {"pause": {"duration": "10m"}})(rollout)
        rollout["spec"].update(spec)
        if templates is None and args:
            canary["analysis"] = analysis
        rollout["metadata"].setdefault("annotations", {}).update(
            {name: value for name, value in annotations.items() if value is not None}
        )

    return edit


def baking(status: ReleaseStatus) -> bool:
    return status.message.startswith("baking at 100 % until")


def bakes(status: ReleaseStatus) -> list[AnalysisRef]:
    return [each for each in status.analyses if each.kind == "Bake"]


def reasons(status: ReleaseStatus) -> list[str]:
    return [event.reason for event in status.events]


async def test_a_version_that_stays_good_becomes_stable_at_the_end(world: World) -> None:
    await world.deploy_stable()
    stable = world.cluster.stable_hash
    handle = await world.start(world.request("1.1.0", baked("30m")))
    status = await world.until(handle, baking)
    assert (status.phase, status.stable_hash, status.actual_weight) == ("Progressing", stable, 100)
    assert status.waiting is not None
    assert status.waiting.what == "the bake at 100 % (30m)"
    assert status.waiting.until == status.waiting.since + timedelta(minutes=30)
    assert "its analysis" in status.waiting.who
    assert "tidegate promote" in status.waiting.who
    assert world.cluster.wanted() == [8, 8], "the version before keeps its pods"
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert result.message == ""
    (run,) = bakes(result.status)
    assert run.name == f"checkout-{result.hash}-2-bake"
    assert run.status.phase == "Successful"
    (readings,) = {len(metric.measurements) for metric in run.status.metrics}
    assert readings > 5, "measured to its end, whatever count a template has"
    order = [
        reason for reason in reasons(result.status) if reason in ("BakeStarted", "BakeCompleted", "RolloutCompleted")
    ]
    assert order == ["BakeStarted", "BakeCompleted", "RolloutCompleted"]
    assert world.cluster.stable_hash == result.hash


async def test_a_failure_takes_stable_back_and_people_hear_of_it(world: World) -> None:
    await world.deploy_stable()
    stable = world.cluster.stable_hash
    handle = await world.start(world.request("1.1.0", baked("2h")))
    await world.until(handle, baking)
    world.datadog.answers = {"error-rate": BAD}
    error, result = await failure(handle)
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert "In the bake at 100 %: analysis phase error/failed: Metric" in error.message
    assert world.cluster.weights() == [50, 100, 0]
    assert world.cluster.stable_hash == result.status.stable_hash == stable
    assert world.cluster.wanted() == [8, 0]
    (incident,) = world.servicenow.incidents
    assert f"analysisrun-{bakes(result.status)[0].name}.json" in incident.attachments
    assert {each.state for each in result.status.compensations} == {"done"}


async def test_a_person_ends_it(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", baked("24h")))
    await world.until(handle, baking)
    await handle.execute_update("promote", {"by": "ana"}, result_type=Accepted)
    result = await handle.result()
    assert result.outcome == "Healthy"
    (run,) = bakes(result.status)
    assert (run.status.phase, run.status.message) == ("Inconclusive", "ended by the release, without a verdict")
    assert "Rollout bake was ended by an operator" in [event.message for event in result.status.events]
    assert world.cluster.stable_hash == result.hash


async def test_a_full_promotion_ends_it(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", baked("24h")))
    await world.until(handle, baking)
    await handle.execute_update("promote", {"full": True, "by": "ana"}, result_type=Accepted)
    result = await handle.result()
    assert (result.outcome, result.message) == ("Healthy", "")
    assert world.cluster.stable_hash == result.hash


async def test_a_newer_version_takes_over(world: World) -> None:
    await world.deploy_stable()
    stable = world.cluster.stable_hash
    handle = await world.start(world.request("1.1.0", baked("24h")))
    await world.until(handle, baking)
    await handle.execute_update("release", world.request("1.2.0", baked("10m")), result_type=Accepted)
    status = await world.until(handle, lambda each: each.revision == 3 and baking(each))
    assert status.stable_hash == stable, "the version between was never proved"
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert [each.status.phase for each in bakes(result.status)] == ["Inconclusive", "Successful"]
    assert world.cluster.stable_hash == result.hash


async def test_an_abort_in_it_is_an_abort(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", baked("24h")))
    await world.until(handle, baking)
    await handle.signal("abort", {"by": "ana", "reason": "smell"})
    error, _ = await failure(handle)
    assert "aborted by ana: smell" in error.message
    assert world.cluster.weights()[-1] == 0


@pytest.mark.long
async def test_one_that_cannot_tell_holds_for_a_person(world: World) -> None:
    await world.deploy_stable()
    stable = world.cluster.stable_hash
    handle = await world.start(world.request("1.1.0", baked("1h")))
    await world.until(handle, baking)
    world.datadog.answers = {"error-rate": UNCLEAR, "p99-latency": [500.0]}
    status = await world.until(handle, lambda each: each.message == "InconclusiveAnalysisRun")
    assert (status.phase, status.stable_hash) == ("Paused", stable)
    assert status.waiting is not None
    assert bakes(status)[0].name in status.waiting.what
    await handle.signal("promote", {"by": "ana", "reason": "looked at it"})
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert len(bakes(result.status)) == 1
    assert world.cluster.stable_hash == result.hash


async def test_it_is_watched_for_as_long_as_it_is_paused(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", baked("10m")))
    await world.until(handle, baking)
    await handle.signal("pause", {"by": "ana"})
    status = await world.until(handle, lambda each: each.phase == "Paused")
    assert status.waiting is not None
    assert status.waiting.what == "the end of the pause by ana"
    world.datadog.answers = {"error-rate": BAD}
    error, _ = await failure(handle)
    assert "In the bake at 100 %" in error.message


async def test_no_progress_is_wanted_of_it(world: World) -> None:
    await world.deploy_stable()
    edit = baked("2h", progressDeadlineSeconds=60, minReadySeconds=0, progressDeadlineAbort=True)
    result = await (await world.start(world.request("1.1.0", edit))).result()
    assert result.outcome == "Healthy"
    assert "ProgressDeadlineExceeded" not in reasons(result.status)


async def test_stable_gets_pods_back_before_the_traffic_where_it_gave_them_up(world: World) -> None:
    def dynamic(rollout: dict[str, Any]) -> None:
        baked("2h")(rollout)
        rollout["spec"]["strategy"]["canary"]["dynamicStableScale"] = True

    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", dynamic))
    await world.until(handle, baking)
    await world.until(handle, lambda _: world.cluster.wanted() == [0, 8])
    world.cluster.writes.clear()
    world.datadog.answers = {"error-rate": BAD}
    await failure(handle)
    first = world.cluster.writes[0]
    assert first[0] == "scale", "pods before traffic"
    assert world.cluster.weights()[-1] == 0
    assert world.cluster.wanted() == [8, 0]


async def test_the_object_says_that_it_is_under_way(world: World) -> None:
    await world.deploy_stable()
    request = world.request("1.1.0", baked("30m"))
    world.cluster.apply(dict(request.rollout))
    handle = await world.start(request)
    await world.until(handle, baking)

    def said(_: ReleaseStatus) -> bool:
        status = (world.cluster.find(ROLLOUTS, "checkout") or {}).get("status") or {}
        return str(status.get("message", "")).startswith("baking at 100 % until")

    await world.until(handle, said)
    status = (world.cluster.find(ROLLOUTS, "checkout") or {})["status"]
    assert status["phase"] == "Progressing"
    assert status["stableRS"] != status["currentPodHash"]
    result = await handle.result()
    (run,) = [each for each in world.cluster.analysis_runs() if each["metadata"]["name"].endswith("-bake")]
    assert run["metadata"]["labels"]["rollout-type"] == "Bake"
    assert result.outcome == "Healthy"


async def test_templates_may_be_named_for_it_alone(world: World) -> None:
    await world.deploy_stable()
    cluster_wide: Document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ClusterAnalysisTemplate",
        "metadata": {"name": "errors-after-100"},
        "spec": {
            "metrics": [
                {
                    "name": "error-rate",
                    "interval": "1m",
                    "count": 3,
                    "successCondition": "result < 0.01",
                    "provider": {"datadog": {"query": "avg:errors{*}"}},
                }
            ]
        },
    }
    world.cluster.apply(cluster_wide)
    result = await (await world.start(world.request("1.1.0", baked("10m", "cluster:errors-after-100")))).result()
    (run,) = bakes(result.status)
    assert [metric.name for metric in run.status.metrics] == ["error-rate"]
    assert run.status.phase == "Successful"


@pytest.mark.parametrize(
    ("bake", "templates", "args", "says"),
    [
        ("soon", None, True, ["'tidegate.io/bake'", "'soon'", "90s, 5m or 1h30m"]),
        ("-5m", None, True, ["'tidegate.io/bake'", "'-5m'"]),
        ("30m", None, False, ["'tidegate.io/bake'", "'30m'", "'tidegate.io/bake-templates'", "canary.analysis"]),
        ("30m", "no-such", True, ["'tidegate.io/bake-templates'", "AnalysisTemplate 'no-such' not found", "create it"]),
        ("30m", "cluster:no-such", True, ["ClusterAnalysisTemplate 'no-such' not found"]),
        ("30m", "../secrets,", True, ["'tidegate.io/bake-templates'", "'../secrets,'", "cluster:NAME"]),
        ("30m", NAMED, True, ["'tidegate.io/bake-templates'", "args.service-name was not resolved"]),
    ],
)
async def test_annotations_that_cannot_be_carried_out_are_refused(
    world: World, bake: str, templates: str | None, args: bool, says: list[str]
) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", baked(bake, templates, args=args)))
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    error = caught.value.cause
    assert isinstance(error, ApplicationError)
    assert error.type == ErrorType.INVALID_SPEC
    assert [each for each in says if each not in error.message] == []
    assert world.cluster.writes == []


async def test_the_cluster_may_have_a_default() -> None:
    async with release_world(bake=timedelta(minutes=15)) as world:
        await world.deploy_stable()
        handle = await world.start(world.request("1.1.0", baked(None)))
        status = await world.until(handle, baking)
        assert status.waiting is not None
        assert status.waiting.what == "the bake at 100 % (15m)"
        first = await handle.result()
        assert [each.status.phase for each in bakes(first.status)] == ["Successful"]
        switched_off = await (await world.start(world.request("1.2.0", baked("0")))).result()
        assert bakes(switched_off.status) == []
        unknown = await (await world.start(world.request("1.3.0", baked(None, args=False)))).result()
        assert bakes(unknown.status) == []


async def test_what_was_proved_before_is_not_baked(world: World) -> None:
    first = await (await world.start(world.request("1.0.0", baked("30m")))).result()
    assert bakes(first.status) == []
    handle = await world.start(world.request("1.1.0", baked("30m", rollbackWindow={"revisions": 3})))
    await world.until(handle, baking)
    await handle.execute_update("promote", {}, result_type=Accepted)
    await handle.result()
    back = await (await world.start(world.request("1.0.0", baked("30m", rollbackWindow={"revisions": 3})))).result()
    assert bakes(back.status) == []
    assert back.status.stable_hash == first.hash
