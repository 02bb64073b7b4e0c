"""An analysis run on the time-skipping server: the real workflow, a stand-in only for the provider."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from tests.replay.replayer import replayer
from tests.workflows.analysis_double import (
    HANGS,
    LEFT_OUT,
    NO_DATA,
    World,
    metric,
    only,
    open_analysis_world,
    own_id,
    request,
    seconds,
)
from tidegate.analysis.spec import build_run_spec
from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    RELEASES_QUEUE,
    AnalysisRequest,
    ErrorType,
)
from tidegate.manifests.documents import load

EXAMPLES = Path(__file__).parents[2] / "examples" / "checkout"


world = pytest.fixture(open_analysis_world, name="world")


async def test_the_seeds_template_asks_once_for_all_that_is_due(world: World) -> None:
    manifests = load([EXAMPLES / "rollout.yaml", EXAMPLES / "analysis-template.yaml"])
    rollout = manifests.rollout().raw
    analysis = manifests.rollout().model.canary.analyses()[0][1].to_wire()
    spec = build_run_spec(
        analysis=analysis,
        templates=[loaded.raw for loaded in manifests.templates],
        rollout=rollout,
        stable_hash="old",
        latest_hash="new",
    )
    names = [each["name"] for each in spec["metrics"]]
    world.provider.script = {name: [0.001] for name in names}
    handle = await world.start(_of(spec))
    status = (await handle.result()).status
    assert status.phase is Phase.SUCCESSFUL
    assert [each.failed for each in status.metrics] == [0] * len(names)
    asked = [sorted(str(each["name"]) for each in one.metrics) for one in world.provider.asked]
    assert asked == [sorted(names)] * len(asked), "metrics of one interval share their requests"
    assert "{{" not in str(world.provider.asked[0].metrics)
    await replayer().replay_workflow(await handle.fetch_history())


def _of(spec: dict[str, Any]) -> AnalysisRequest:
    return AnalysisRequest(namespace="payments", name="run", spec=spec)


async def test_delays_and_intervals_are_kept_on_the_clock_of_the_run(world: World) -> None:
    world.provider.script = {"m": [0.1], "slow": [0.1]}
    status = await world.status(
        request(metric(interval="1m", count=3), metric("slow", interval="90s", count=2, initialDelay="5m"))
    )
    assert (status.phase, status.message) == (Phase.SUCCESSFUL, "")
    assert [round(at / 10) * 10 for at in seconds(status, "m")] == [0, 60, 120]
    assert [round(at / 10) * 10 for at in seconds(status, "slow")] == [300, 390]


async def test_a_bad_reading_ends_the_run_and_says_why(world: World) -> None:
    world.provider.script = {"m": [0.5, 7.0], "other": [0.1]}
    status = await world.status(request(metric(interval="10s", count=5), metric("other", interval="10s", count=9)))
    assert (status.phase, status.message) == (
        Phase.FAILED,
        'Metric "m" assessed Failed due to failed (1) > failureLimit (0)',
    )
    last = status.metrics[0].measurements[-1]
    assert (last.value, last.reason, last.query) == ("7.0", "7.0 does not meet success `result < 1`", "query of m")
    assert status.metrics[1].phase is Phase.SUCCESSFUL


async def test_no_data_is_looked_at_again_and_never_a_success(world: World) -> None:
    world.provider.script = {"m": [NO_DATA]}
    status = await world.status(request(metric(interval="10s", count=2)))
    assert status.phase is Phase.INCONCLUSIVE
    assert status.message == 'Metric "m" assessed Inconclusive due to conclusive (0) < count (2) after 6 readings'


async def test_a_provider_that_fails_for_good_is_an_error_and_blocks_nothing(world: World) -> None:
    broken = ApplicationError("boom", non_retryable=True)
    world.provider.script = {"m": [broken, broken, 0.5]}
    status = await world.status(request(metric()))
    assert status.phase is Phase.SUCCESSFUL
    assert [each.phase for each in only(status).measurements] == [Phase.ERROR, Phase.ERROR, Phase.SUCCESSFUL]
    assert only(status).measurements[0].message == "boom"


async def test_a_failure_is_tried_again_before_it_counts(world: World) -> None:
    world.provider.script = {"m": [ApplicationError("blip"), 0.5]}
    status = await world.status(request(metric()))
    assert (status.phase, only(status).error, len(world.provider.asked)) == (Phase.SUCCESSFUL, 0, 2)


async def test_five_errors_in_a_row_end_the_run(world: World) -> None:
    world.provider.script = {"m": [{"error": "no credentials"}]}
    status = await world.status(request(metric(interval="1h")))
    assert status.phase is Phase.ERROR
    assert status.message == (
        'Metric "m" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): '
        '"Error Message: no credentials"'
    )


async def test_a_metric_that_the_provider_leaves_out_is_an_error(world: World) -> None:
    world.provider.script = {"m": [0.5], "other": [LEFT_OUT]}
    status = await world.status(request(metric(), metric("other", consecutiveErrorLimit=0)))
    assert status.phase is Phase.ERROR
    assert status.metrics[1].message == "the provider's answer left it out"


async def test_a_rate_limit_is_waited_for_shown_and_no_error(world: World) -> None:
    limited = ApplicationError(
        "slow down", type=ErrorType.RATE_LIMITED, next_retry_delay=timedelta(minutes=10), non_retryable=False
    )
    world.provider.script = {"m": [limited, limited, limited, 0.5]}
    handle = await world.start(request(metric(consecutiveErrorLimit=0)))
    shown = await world.until(handle, lambda status: status.rate_limited_until is not None)
    assert shown.phase is Phase.RUNNING
    status = (await handle.result()).status
    assert (status.phase, only(status).error, only(status).count) == (Phase.SUCCESSFUL, 0, 1)
    assert status.rate_limited_until is None
    assert only(status).measurements[0].finished_at - only(status).measurements[0].started_at >= timedelta(minutes=30)


async def test_a_rate_limit_that_never_ends_is_an_error_in_the_end(world: World) -> None:
    limited = ApplicationError("slow down", type=ErrorType.RATE_LIMITED, next_retry_delay=timedelta(minutes=25))
    world.provider.script = {"m": [limited]}
    status = await world.status(request(metric(consecutiveErrorLimit=0)))
    assert status.phase is Phase.ERROR
    assert only(status).message == "slow down"


@pytest.mark.parametrize("arguments", [[], [None], [17], ["now", {"by": "me"}]])
async def test_terminate_ends_the_run_with_what_it_has(world: World, arguments: list[Any]) -> None:
    world.provider.script = {"m": [0.5]}
    handle = await world.start(request(metric(interval="1h"), metric("late", initialDelay="2h")))
    await world.until(handle, lambda status: status.metrics[0].count == 1)
    await handle.signal("terminate", args=arguments)
    status = (await handle.result()).status
    assert (status.phase, status.message) == (Phase.SUCCESSFUL, "Run Terminated")
    assert status.metrics[1].phase is Phase.PENDING, "never measured, so nothing is said of it"


async def test_a_spec_that_says_terminate_measures_nothing(world: World) -> None:
    status = await world.status(request(metric(), terminate=True))
    assert (status.phase, status.message, world.provider.asked) == (
        Phase.INCONCLUSIVE,
        "Run Terminated before anything was measured",
        [],
    )


async def test_terminate_does_not_wait_for_a_measurement(world: World) -> None:
    world.provider.script = {"m": [HANGS]}
    handle = await world.start(request(metric()))
    await world.provider.reached.wait()
    await handle.signal("terminate")
    status = (await handle.result()).status
    assert (status.phase, status.message) == (Phase.INCONCLUSIVE, "Run Terminated before anything was measured")
    assert only(status).measurements == ()


async def test_a_cancel_ends_the_run_at_once(world: World) -> None:
    world.provider.script = {"m": [HANGS]}
    handle = await world.start(request(metric()))
    await world.provider.reached.wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)


async def test_no_message_hurts(world: World) -> None:
    world.provider.script = {"m": [0.5]}
    handle = await world.start(request(metric(interval="10s", count=2)))
    await handle.signal("terminte", args=[{"by": "me"}, 2])
    assert (await handle.result()).status.phase is Phase.SUCCESSFUL


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (17, "analysis request: the input: "),
        ({"namespace": "x", "name": "y"}, "analysis request: spec: Field required"),
        (_of({"metrics": []}), "Analysis spec invalid: no metrics specified"),
        (_of({"metrics": "m"}), "AnalysisRun: error: metrics: "),
        (
            _of({"metrics": [metric(provider={"graphite": {}})]}),
            "Analysis spec invalid: metrics[0]: unknown provider 'graphite'",
        ),
        (_of({"metrics": [metric(interval="5x")]}), "Analysis spec invalid: metrics[0]: invalid interval string: "),
        (_of({"metrics": [metric(count="{{args.n}}")]}), "Unable to resolve metric arguments: failed to resolve"),
    ],
)
async def test_input_that_cannot_be_carried_out_is_refused_by_name(world: World, given: Any, said: str) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await world.status(given)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == (ErrorType.INVALID_SPEC, True)
    assert cause.message.startswith(said)


async def test_secrets_are_named_to_the_provider_and_known_to_nobody_else(world: World) -> None:
    reference = {"name": "thresholds", "key": "max"}
    world.provider.script = {
        "m": [{"verdict": {"phase": "Successful", "reason": "0.5 meets success `result < *****`"}}]
    }
    status = await world.status(
        request(
            metric(successCondition="result < {{args.max}}"),
            args=[{"name": "max", "valueFrom": {"secretKeyRef": reference}}],
        )
    )
    assert status.phase is Phase.SUCCESSFUL
    assert world.provider.asked[0].secret_args == {"max": reference}
    assert only(status).measurements[0].reason == "0.5 meets success `result < *****`"


async def test_a_secret_that_is_missing_ends_the_run(world: World) -> None:
    message = 'Unable to resolve metric arguments: secrets "s" not found'
    world.provider.script = {"m": [{"error": message, "unresolved": True}]}
    status = await world.status(request(metric(interval="10s")))
    assert (status.phase, status.message, status.completed_at) == (Phase.ERROR, message, None)


async def test_a_release_hears_of_verdicts_that_change_and_not_of_every_reading(world: World) -> None:
    world.provider.script = {"m": [0.5, 0.5, 7.0, 7.0, 0.5, 0.5]}
    asked = request(metric(interval="10s", count=6, failureLimit=3), release_id="release")
    status = await world.ended(await world.start_by("release", asked, stays=True))
    assert only(status).count == 6
    told = await world.client.get_workflow_handle("release").query("all_heard")
    heard = [AnalysisStatus.model_validate(each) for each in told]
    assert [each.metrics[0].measurements[-1].phase for each in heard] == ["Failed", "Successful"]
    assert [each.metrics[0].count for each in heard] == [3, 5]


async def test_a_release_that_is_gone_is_no_reason_to_fail(world: World) -> None:
    world.provider.script = {"m": [0.5]}
    asked = request(metric(interval="10s", count=2), release_id="leaving")
    status = await world.ended(await world.start_by("leaving", asked, stays=False))
    assert status.phase is Phase.SUCCESSFUL


@pytest.mark.parametrize(
    ("workflow_id", "fields", "expected"),
    [
        ("evil", {}, "start it as 'analysis/default/payments/run'"),
        ("analysis/default/payments/other", {}, "start it as 'analysis/default/payments/run'"),
        (None, {"release_id": "rollout/default/payments/shop"}, "did not start this run"),
    ],
)
async def test_a_run_under_another_id_or_in_the_name_of_a_release_is_refused(
    world: World, workflow_id: str | None, fields: dict[str, Any], expected: str
) -> None:
    asked = request(metric(), **fields)
    handle = await world.client.start_workflow(
        ANALYSIS_WORKFLOW, asked, id=workflow_id or own_id(asked), task_queue=RELEASES_QUEUE
    )
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == (ErrorType.INVALID_SPEC, True)
    assert expected in cause.message
    assert world.provider.asked == []


async def test_a_run_goes_on_where_its_earlier_part_stopped(world: World) -> None:
    world.provider.script = {"m": [0.5]}
    asked = request(metric(interval="10s", count=3))
    whole = await world.status(asked)
    part = only(whole).model_copy(update={"phase": Phase.RUNNING, "count": 2, "successful": 2})
    earlier = whole.model_copy(update={"phase": Phase.RUNNING, "completed_at": None, "metrics": (part,)})
    world.provider.asked.clear()
    status = await world.status(asked, earlier)
    assert (status.phase, only(status).count, len(world.provider.asked)) == (Phase.SUCCESSFUL, 3, 1)
    assert status.started_at == whole.started_at


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": []},
        {"started_at": None},
        {"started_at": "2026-01-01T00:00:00"},
        {"phase": "Splendid"},
    ],
)
async def test_an_earlier_part_of_another_run_is_refused(world: World, change: dict[str, Any]) -> None:
    earlier = {"name": "run", "phase": "Running", "started_at": "2026-01-01T00:00:00Z"}
    metrics = [{"name": "m", "phase": "Pending"}]
    with pytest.raises(WorkflowFailureError) as caught:
        await world.status(request(metric()), {**earlier, "metrics": metrics, **change})
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == (ErrorType.INVALID_SPEC, True)


async def test_a_limit_that_resets_every_second_does_not_fill_the_history(world: World) -> None:
    limited = ApplicationError("slow down", type=ErrorType.RATE_LIMITED, next_retry_delay=timedelta(seconds=1))
    world.provider.script = {"m": [limited]}
    status = await world.status(request(metric(consecutiveErrorLimit=0)))
    assert only(status).message == "slow down"
    assert len(world.provider.asked) < 100
