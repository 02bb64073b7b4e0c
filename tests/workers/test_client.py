"""The client against a real Temporal server, with and without a worker."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.workers.scripted_provider import ScriptedProvider, endless, template
from tests.workers.scripted_release import Answering, request
from tidegate.client import (
    AnalysisRunRef,
    CompensationError,
    ConfigurationError,
    HeldError,
    NoSuchAnalysisRunError,
    NoSuchReleaseError,
    NoWorkerError,
    RefusedError,
    ReleaseHandle,
    RolledBackError,
    RolloutRef,
    StillRunningError,
    StoppedError,
    SupersededError,
    TidegateClient,
    UnreachableError,
    analysis_request,
)
from tidegate.contract import ROLLOUT_WORKFLOW, SEARCH_PHASE, SEARCH_WEIGHT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = timedelta(seconds=1)


async def said(client: TidegateClient, rollout: RolloutRef) -> list[str]:
    return [event.reason for event in (await client.status(rollout)).events]


async def test_the_same_request_twice_is_one_release(
    client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    async with answering():
        first = await client.start(request(name=rollout.name, by="alice"))
        again = await client.start(request(name=rollout.name, by="bob"))
        assert (again.run_id, again.message) == (first.run_id, "release 1")
        assert await said(client, rollout) == ["release"]


async def test_another_version_is_told_to_the_release_under_way(
    client: TidegateClient, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    newer = await client.start(request(name=rollout.name, image="checkout:2"))
    assert newer.run_id == handle.run_id
    await client.promote(rollout)
    assert (await client.wait(newer)).status.images == {"checkout": "checkout:2"}
    with pytest.raises(SupersededError, match="checkout:2"):
        await client.wait(handle)


async def test_a_version_that_is_asked_for_again_after_another_one_is_told_once_more(
    client: TidegateClient, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    await client.start(request(name=rollout.name, image="checkout:2"))
    back = await client.start(request(name=rollout.name))
    again = await client.start(request(name=rollout.name))
    assert (back.message, again) == ("release 3", back)
    await client.promote(rollout)
    assert (await client.wait(back)).status.images == {"checkout": "checkout:1"}


async def test_after_a_failure_the_same_request_is_a_retry(
    client: TidegateClient, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    await client.abort(rollout)
    with pytest.raises(RolledBackError):
        await client.wait(handle)
    second = await client.start(request(name=rollout.name))
    assert second.run_id != handle.run_id


async def test_after_a_success_the_same_request_is_answered_from_what_was_done(
    client: TidegateClient, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    await client.promote(rollout)
    await client.wait(handle)
    again = await client.start(request(name=rollout.name))
    assert again == handle
    assert (await client.wait(again)).outcome == "Healthy"


async def test_a_request_that_comes_while_a_release_is_ending_is_asked_again(
    client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    async with answering():
        before = await client.start(request(name=rollout.name))
        handle = await client.start(request(name=rollout.name, image="checkout:2", reason="too late"))
        assert (handle.message, handle.run_id != before.run_id) == ("release 1", True)


async def test_a_refused_request_says_why(client: TidegateClient, answering: Answering, rollout: RolloutRef) -> None:
    async with answering():
        with pytest.raises(RefusedError, match="weight 120") as error:
            await client.start(request(name=rollout.name, reason="refuse"))
        assert error.value.kind == "InvalidSpec"


async def test_a_worker_answers_a_message_at_once(
    client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    async with answering():
        await client.start(request(name=rollout.name))
        assert (await client.pause(rollout, by="alice")).message == "pause by alice"
        assert (await client.resume(rollout, by="bob")).message == "resume by bob"
        assert await said(client, rollout) == ["release", "pause", "resume"]


async def test_with_no_worker_a_message_waits_and_counts_once(
    client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    async with answering():
        handle = await client.start(request(name=rollout.name))
    accepted = await client.promote(rollout, by="alice")
    assert "no worker answers" in accepted.message
    async with answering():
        await client.wait(handle, timeout=timedelta(seconds=20))
        assert (await said(client, rollout)).count("promote") == 1


async def test_with_no_worker_a_start_is_kept(
    client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    with pytest.raises(NoWorkerError, match="no worker"):
        await client.start(request(name=rollout.name), timeout=SHORT)
    with pytest.raises(NoWorkerError):
        await client.status(rollout)
    async with answering():
        handle = await client.start(request(name=rollout.name))
        assert handle.run_id == (await client.status(rollout)).run_id


async def test_what_was_never_released_is_said_so(client: TidegateClient, rollout: RolloutRef) -> None:
    with pytest.raises(NoSuchReleaseError, match=rollout.name):
        await client.status(rollout)
    with pytest.raises(NoSuchReleaseError, match=rollout.name):
        await client.promote(rollout)


async def test_nothing_can_be_said_to_a_release_that_has_ended(
    client: TidegateClient, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    await client.promote(rollout)
    await client.wait(handle)
    with pytest.raises(RefusedError, match="has ended"):
        await client.abort(rollout)


async def test_a_wait_ends_with_the_account_of_what_failed(
    client: TidegateClient, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    await client.abort(rollout, reason="error-rate failed")
    with pytest.raises(RolledBackError, match="error-rate failed") as error:
        await client.wait(handle)
    assert error.value.result is not None
    assert error.value.result.outcome == "RolloutAborted"


async def test_an_undoing_that_failed_needs_a_person(
    client: TidegateClient, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    await client.abort(rollout, reason="undo failed")
    with pytest.raises(CompensationError, match="incident: 401"):
        await client.wait(handle)


async def test_a_wait_ends_when_only_a_person_can_go_on(
    client: TidegateClient, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    await client.pause(rollout)
    with pytest.raises(HeldError, match="promote or abort"):
        await client.wait(handle, until_held=True)
    with pytest.raises(StillRunningError):
        await client.wait(handle, timeout=SHORT)


async def test_a_terminated_release_is_no_rollback(
    client: TidegateClient, temporal: Client, handle: ReleaseHandle, rollout: RolloutRef
) -> None:
    await temporal.get_workflow_handle(rollout.workflow_id).terminate("by mistake")
    with pytest.raises(StoppedError) as error:
        await client.wait(handle)
    assert "nothing was undone" in error.value.remedy


@pytest.mark.parametrize("ending", ["promote", "abort"])
async def test_an_ended_release_is_explained_with_no_worker_up(
    client: TidegateClient, answering: Answering, rollout: RolloutRef, ending: str
) -> None:
    async with answering():
        handle = await client.start(request(name=rollout.name))
        with pytest.raises(NoSuchReleaseError, match="or it ended more than"):
            await client.explain(RolloutRef("payments", "nobody"))
        if ending == "promote":
            await client.promote(rollout)
            await client.wait(handle)
        else:
            await client.abort(rollout, reason="smells")
            with pytest.raises(RolledBackError):
                await client.wait(handle)
        there = await client.explain(rollout)
    assert await client.explain(rollout) == there
    assert ("is fully promoted" in there.headline) == (ending == "promote")


async def test_a_terminated_release_is_explained_as_stopped_from_outside(
    client: TidegateClient, temporal: Client, handle: ReleaseHandle
) -> None:
    assert "is under way at 0 %" in (await client.explain(handle.rollout)).headline
    await temporal.get_workflow_handle(handle.rollout.workflow_id).terminate("by mistake")
    headline = (await client.explain(handle.rollout)).headline
    assert "was stopped from outside (Terminated) at 0 %: nothing was undone" in headline


async def test_a_release_that_has_said_nothing_yet_is_asked_in_vain(
    client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    async with answering():
        await client.start(request(name=rollout.name))
    with pytest.raises(NoWorkerError):
        await client.explain(rollout)


async def test_a_list_holds_the_newest_release_of_each_rollout(
    client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    namespace = f"team-{uuid.uuid4().hex[:8]}"
    mine = RolloutRef(namespace, rollout.name)
    async with answering():
        first = await client.start(request(namespace=namespace, name=rollout.name))
        await client.abort(mine)
        with pytest.raises(RolledBackError):
            await client.wait(first)
        second = await client.start(request(namespace=namespace, name=rollout.name))
        other = await client.start(request(namespace=namespace, name="other"))
    # Visibility follows the history by a moment.
    listed = await client.list(namespace)
    while {each.run_id for each in listed} != {second.run_id, other.run_id}:
        listed = await client.list(namespace)
    assert [(each.name, each.state) for each in listed] == [(rollout.name, "Running"), ("other", "Running")]
    assert {each.name for each in await client.list()} >= {rollout.name, "other"}
    with pytest.raises(RefusedError, match="no Kubernetes namespace"):
        await client.list('x" OR WorkflowType != "')


@workflow.defn(name=ROLLOUT_WORKFLOW)
class Broken:
    @workflow.run
    async def run(self, fails: bool) -> None:
        if fails:
            raise ApplicationError("on its way", non_retryable=True)


async def test_what_failed_on_its_way_is_listed_with_what_was_stopped(client: TidegateClient, temporal: Client) -> None:
    cluster, queue = f"c{uuid.uuid4().hex[:8]}", f"q-{uuid.uuid4()}"
    broken = {"on-its-way": ("Progressing", 20), "not-back": ("Degraded", 20), "held": ("Paused", 0)}
    well = {"given-up": ("Degraded", 0), "healthy": ("Healthy", 0)}
    runner = UnsandboxedWorkflowRunner()
    async with Worker(temporal, task_queue=queue, workflows=[Broken], workflow_runner=runner):
        for name, (phase, weight) in {**well, **broken}.items():
            handle = await temporal.start_workflow(
                Broken.run,
                name != "healthy",
                id=RolloutRef("payments", name, cluster).workflow_id,
                task_queue=queue,
                search_attributes=TypedSearchAttributes(
                    [SearchAttributePair(SEARCH_PHASE, phase), SearchAttributePair(SEARCH_WEIGHT, weight)]
                ),
            )
            await asyncio.wait([asyncio.create_task(handle.result())])
    since = datetime.now(UTC) - timedelta(minutes=1)
    found = await client.stopped(cluster, since)
    while len(found) < len(broken):  # visibility follows the history by a moment
        found = await client.stopped(cluster, since)
    assert {each.name for each in found} == set(broken)


async def test_a_run_without_a_release_is_waited_for_and_started_once(
    client: TidegateClient, provider: ScriptedProvider
) -> None:
    wanted = analysis_request([endless()], {"service": "checkout"}, namespace="payments")
    run = await client.run_analysis(wanted)
    with pytest.raises(StillRunningError, match="still running"):
        await client.wait_for_analysis(run, timeout=SHORT)
    assert await client.run_analysis(wanted) == run
    with pytest.raises(RefusedError, match="is under way"):
        await client.run_analysis(wanted.model_copy(update={"spec": {}}))
    await client.terminate_analysis(run)
    assert (await client.wait_for_analysis(run)).phase == "Successful"
    assert {request.run for request in provider.asked} == {run.name}
    with pytest.raises(NoSuchAnalysisRunError, match="there is no such analysis run"):
        await client.terminate_analysis(AnalysisRunRef("payments", "nobody"))


async def test_a_run_that_was_stopped_before_any_worker_saw_it_proves_nothing(
    client: TidegateClient, temporal: Client
) -> None:
    wanted = analysis_request([template()], {"service": "checkout"}, namespace="payments")
    run = await client.run_analysis(wanted)
    with pytest.raises(NoWorkerError):
        await client.analysis_status(run)
    await temporal.get_workflow_handle(run.workflow_id).terminate("nobody carries it out")
    assert (await client.analysis_status(run)).phase == "Inconclusive"


@pytest.mark.usefixtures("observing")
async def test_a_look_at_the_cluster_shows_pods_even_of_a_rollout_that_the_cluster_does_not_hold(
    client: TidegateClient, answering: Answering, rollout: RolloutRef
) -> None:
    async with answering():
        await client.start(request(name=rollout.name))
        seen = await client.observe(rollout)
    assert seen is not None
    assert seen.rollout is not None
    assert seen.rollout["kind"] == "Rollout"
    assert [pod.name for pod in seen.replica_sets[0].pods] == [f"{rollout.name}-1"]


async def test_a_cluster_whose_worker_is_away_is_not_seen(client: TidegateClient, rollout: RolloutRef) -> None:
    assert await client.observe(RolloutRef("payments", "checkout", "far-away"), timeout=timedelta(seconds=0.5)) is None


async def test_an_address_where_nothing_is_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1") as error:
        await TidegateClient.connect()
    assert "TEMPORAL_ADDRESS" in error.value.remedy


async def test_a_profile_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        await TidegateClient.connect("nowhere")
