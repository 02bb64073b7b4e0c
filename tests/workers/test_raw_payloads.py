"""What anybody may send over gRPC, on a real Temporal server: an abort is an abort, and no input keeps a lock."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.common.v1 import Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Request, WaitPolicy
from temporalio.api.workflowservice.v1 import (
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sandbox.temporal import TemporalServer
from tests.workers.payload_kinds import KINDS, STRANGE, UNDECODABLE, WORD, Kind, plain
from tidegate.client import FixedKeys, Keyring, data_converter
from tidegate.client.codec import PayloadEncryption
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    FOLLOW_UP_WORKFLOW,
    RELEASES_QUEUE,
    ROLLBACK_WORKFLOW,
    ROLLOUT_WORKFLOW,
    ErrorType,
    Message,
    Query,
    ReleaseStatus,
    Signal,
    Update,
)
from workflows.analysis_run import AnalysisRun
from workflows.follow_up import FollowUp
from workflows.handlers import MessageHandlers
from workflows.rollback import Rollback
from workflows.rollout import Rollout

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = FixedKeys(Keyring("k1", {"k1": bytes(range(32))}))
ENCRYPTED_QUEUE = "encrypted"
SECONDS = 15
WORKFLOWS = (ROLLOUT_WORKFLOW, ANALYSIS_WORKFLOW, FOLLOW_UP_WORKFLOW, ROLLBACK_WORKFLOW)


@workflow.defn
class Held(MessageHandlers):
    """A release that only listens: it ends with what it was told by an abort."""

    @workflow.run
    async def run(self) -> Message | None:
        await workflow.wait_condition(lambda: self.inbox.abort is not None)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.inbox.abort


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plainly(server: TemporalServer) -> AsyncIterator[Client]:
    client = await Client.connect(server.address, data_converter=data_converter())
    workflows = [Held, Rollout, AnalysisRun, FollowUp, Rollback]
    async with Worker(
        client, task_queue=RELEASES_QUEUE, workflows=workflows, workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def encrypted(server: TemporalServer) -> AsyncIterator[Client]:
    client = await Client.connect(server.address, data_converter=data_converter(KEYS))
    workflows = [Held, Rollout, AnalysisRun, FollowUp, Rollback]
    async with Worker(
        client, task_queue=ENCRYPTED_QUEUE, workflows=workflows, workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield client


async def held(client: Client, queue: str = RELEASES_QUEUE) -> WorkflowHandle[Held, Message | None]:
    return await client.start_workflow(Held.run, id=f"held-{uuid.uuid4()}", task_queue=queue)


async def signal(client: Client, workflow_id: str, name: str, payloads: Kind) -> None:
    await client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            signal_name=name,
            input=Payloads(payloads=payloads),
        )
    )


async def update(client: Client, workflow_id: str, name: str, payloads: Kind) -> UpdateWorkflowExecutionResponse:
    stage = UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
    return await client.workflow_service.update_workflow_execution(
        UpdateWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            wait_policy=WaitPolicy(lifecycle_stage=stage),
            request=Request(
                meta=Meta(update_id=str(uuid.uuid4())), input=Input(name=name, args=Payloads(payloads=payloads))
            ),
        ),
        timeout=timedelta(seconds=SECONDS),
    )


async def start(client: Client, queue: str, kind: str, payloads: Kind) -> WorkflowHandle[Any, Any]:
    workflow_id = f"{kind}-{uuid.uuid4()}"
    await client.workflow_service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name=kind),
            task_queue=TaskQueue(name=queue),
            input=Payloads(payloads=payloads),
            request_id=str(uuid.uuid4()),
            workflow_run_timeout=Duration(seconds=120),
        )
    )
    return client.get_workflow_handle(workflow_id)


async def heard(handle: WorkflowHandle[Held, Message | None]) -> Message:
    async with asyncio.timeout(SECONDS):
        message = await handle.result()
    assert message is not None
    return message


@pytest.mark.parametrize("kind", KINDS)
async def test_a_signal_of_any_kind_aborts_with_the_reason_as_far_as_it_can_be_read(plainly: Client, kind: str) -> None:
    payloads, reason = KINDS[kind]
    handle = await held(plainly)
    await signal(plainly, handle.id, Signal.ABORT, payloads)
    assert (await heard(handle)).reason == reason


@pytest.mark.parametrize("kind", KINDS)
async def test_an_update_of_any_kind_aborts_and_is_answered(plainly: Client, kind: str) -> None:
    payloads, reason = KINDS[kind]
    handle = await held(plainly)
    answer = await update(plainly, handle.id, Update.ABORT, payloads)
    assert answer.outcome.WhichOneof("value") == "success", answer.outcome.failure.message
    assert (await heard(handle)).reason == reason


@pytest.mark.parametrize("kind", UNDECODABLE)
async def test_with_the_codec_plain_payloads_of_any_kind_abort_as_well(encrypted: Client, kind: str) -> None:
    payloads, reason = UNDECODABLE[kind]
    handle = await held(encrypted, ENCRYPTED_QUEUE)
    await signal(encrypted, handle.id, Signal.ABORT, payloads)
    assert (await heard(handle)).reason == reason


@pytest.mark.parametrize("kind", KINDS)
async def test_with_the_codec_encrypted_payloads_of_any_kind_abort_and_are_read(encrypted: Client, kind: str) -> None:
    payloads, reason = KINDS[kind]
    handle = await held(encrypted, ENCRYPTED_QUEUE)
    sealed = tuple(await PayloadEncryption(KEYS).encode(payloads))
    await signal(encrypted, handle.id, Signal.ABORT, sealed)
    assert (await heard(handle)).reason == reason


@pytest.mark.parametrize("name", [*Signal, "nobody-knows-it", "\u202ename"])
async def test_no_message_of_any_kind_keeps_an_abort_from_being_heard(plainly: Client, name: str) -> None:
    handle = await held(plainly)
    for payloads, _ in UNDECODABLE.values():
        if name != Signal.ABORT:
            await signal(plainly, handle.id, name, payloads)
    await signal(plainly, handle.id, Signal.ABORT, (plain(WORD),))
    assert await heard(handle) == Message(by="alice", reason="smells")


async def test_the_query_answers_whatever_is_asked_with_it(plainly: Client) -> None:
    handle = await held(plainly)
    for payloads, _ in UNDECODABLE.values():
        await signal(plainly, handle.id, Signal.PAUSE, payloads)
    status = await handle.query(Query.STATUS, {"x": [1]}, result_type=ReleaseStatus)
    assert status.manual_pause is not None
    await handle.terminate()


async def test_what_is_no_request_is_turned_down_and_the_release_goes_on(plainly: Client) -> None:
    handle = await held(plainly)
    for kind, (payloads, _) in UNDECODABLE.items():
        answer = await update(plainly, handle.id, Update.RELEASE, payloads)
        assert answer.outcome.failure.application_failure_info.type == ErrorType.INVALID_SPEC, kind
    await signal(plainly, handle.id, Signal.ABORT, ())
    assert await heard(handle) == Message()


@pytest.mark.parametrize("workflow_type", WORKFLOWS)
@pytest.mark.parametrize("queue", [RELEASES_QUEUE, ENCRYPTED_QUEUE])
async def test_an_input_of_any_kind_ends_its_workflow_with_the_reason(
    plainly: Client, encrypted: Client, workflow_type: str, queue: str
) -> None:
    client = plainly if queue == RELEASES_QUEUE else encrypted
    started = {kind: await start(client, queue, workflow_type, KINDS[kind][0]) for kind in KINDS}
    for kind, handle in started.items():
        with pytest.raises(WorkflowFailureError) as failure:
            async with asyncio.timeout(SECONDS):
                await handle.result()
        cause = failure.value.cause
        assert isinstance(cause, ApplicationError), kind
        assert cause.type == ErrorType.INVALID_SPEC, kind
        if kind in STRANGE or "argument" in kind:
            continue
        assert "cannot be read" in cause.message, kind
