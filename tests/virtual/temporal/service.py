"""The gRPC interface of `VirtualTemporal`, as far as the product's client asks for it; no socket is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.failure.v1 import Failure
from temporalio.api.update.v1 import Outcome
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice import v1 as api
from temporalio.client import Client
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient

from tests.virtual.temporal.attempts import ActivityTask
from tests.virtual.temporal.execution import Execution
from tests.virtual.temporal.server import VirtualTemporal
from tests.virtual.temporal.standalone import StandaloneActivity
from tests.virtual.temporal.visibility import condition_of

_COMPLETED = UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED


def client_of(server: VirtualTemporal) -> Client:
    """The SDK's client, whose calls arrive at the server."""
    return Client(VirtualService(server), data_converter=server.converter)


class VirtualService(ServiceClient):
    """Answers calls, each after a while; now and then a call gets lost, or its answer."""

    def __init__(self, server: VirtualTemporal) -> None:
        super().__init__(ConnectConfig(target_host="virtual:7233"))
        self._server = server

    @property
    def worker_service_client(self) -> Any:
        """No worker polls here."""
        raise NotImplementedError

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """There is nobody to show it to."""

    def update_api_key(self, api_key: str | None) -> None:
        """There is nobody to show it to."""

    async def _rpc_call(self, rpc: str, req: Any, resp_type: Any, *, timeout: timedelta | None, **_: Any) -> Any:
        answer: Callable[[Any], Awaitable[Any]] | None = getattr(self, f"_{rpc}", None)
        if answer is None:
            self._server.troubles.append(f"unknown method {rpc}")
            raise RPCError(f"unknown method {rpc}", RPCStatusCode.UNIMPLEMENTED, b"")
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout else None):
                await asyncio.sleep(self._server.chances.latency())
                if self._server.chances.strikes("call lost"):
                    raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")
                answered = await answer(req)
                await asyncio.sleep(self._server.chances.latency())
                if self._server.chances.strikes("call's answer lost"):
                    raise RPCError("connection reset", RPCStatusCode.UNAVAILABLE, b"")
                return answered
        except TimeoutError:
            raise RPCError("Timeout expired", RPCStatusCode.DEADLINE_EXCEEDED, b"") from None

    # ------------------------------------------------------------------------------------------------------------ look

    def _found(self, execution: Any) -> Execution:
        run = self._server.newest(execution.workflow_id, execution.run_id)
        if run is None:
            raise RPCError(f"workflow not found for ID: {execution.workflow_id}", RPCStatusCode.NOT_FOUND, b"")
        return run

    async def _describe_workflow_execution(self, req: Any) -> Any:
        run = self._found(req.execution)
        return api.DescribeWorkflowExecutionResponse(workflow_execution_info=_info(run))

    async def _describe_namespace(self, _: Any) -> Any:
        return api.DescribeNamespaceResponse()

    async def _list_workflow_executions(self, req: Any) -> Any:
        try:
            is_asked_for = condition_of(req.query)
        except RPCError as error:  # whoever asked goes on without an answer, and nobody would hear of it
            self._server.troubles.append(error.message)
            raise
        runs = sorted(self._server.all_runs(), key=lambda run: run.started_at, reverse=True)
        shown = [_info(run) for run in runs if is_asked_for(run)]
        return api.ListWorkflowExecutionsResponse(executions=shown)

    async def _query_workflow(self, req: Any) -> Any:
        answer = await self._found(req.execution).query(req.query.query_type, req.query.query_args.payloads)
        if answer.HasField("failed"):
            raise RPCError(answer.failed.message, RPCStatusCode.INVALID_ARGUMENT, b"")
        response = api.QueryWorkflowResponse()
        response.query_result.payloads.append(answer.succeeded.response)
        return response

    async def _get_workflow_execution_history(self, req: Any) -> Any:
        """Its first event, or with `wait_new_event` its last."""
        run = self._found(req.execution)
        response = api.GetWorkflowExecutionHistoryResponse()
        event = response.history.events.add()
        if not req.wait_new_event:
            event.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
            event.workflow_execution_started_event_attributes.input.payloads.extend(run.arguments)
            return response
        await asyncio.shield(run.ended)
        if run.status == Status.WORKFLOW_EXECUTION_STATUS_COMPLETED:
            event.workflow_execution_completed_event_attributes.result.payloads.append(run.result)
        elif run.status == Status.WORKFLOW_EXECUTION_STATUS_FAILED:
            event.workflow_execution_failed_event_attributes.failure.CopyFrom(run.failure)
        elif run.status == Status.WORKFLOW_EXECUTION_STATUS_CANCELED:
            event.workflow_execution_canceled_event_attributes.SetInParent()
        else:
            event.workflow_execution_terminated_event_attributes.SetInParent()
        return response

    # ----------------------------------------------------------------------------------------------------------- speak

    async def _signal_workflow_execution(self, req: Any) -> Any:
        run = self._found(req.workflow_execution)
        if not self._server.signal(run.workflow_id, run.run_id, req.signal_name, req.input.payloads):
            raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")
        return api.SignalWorkflowExecutionResponse()

    async def _terminate_workflow_execution(self, req: Any) -> Any:
        run = self._found(req.workflow_execution)
        if run.closed:
            raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")
        run.terminate()
        return api.TerminateWorkflowExecutionResponse()

    async def _request_cancel_workflow_execution(self, req: Any) -> Any:
        if not self._server.cancel(self._found(req.workflow_execution).workflow_id, reason=req.reason):
            raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")
        return api.RequestCancelWorkflowExecutionResponse()

    async def _start_workflow_execution(self, req: Any) -> Any:
        run = self._start(req)
        return api.StartWorkflowExecutionResponse(run_id=run.run_id, started=True)

    async def _start_activity_execution(self, req: Any) -> Any:
        """An activity without a workflow. No id is used twice here."""
        if req.activity_id in self._server.standalone:
            raise RPCError("activity execution already started", RPCStatusCode.ALREADY_EXISTS, b"")
        started = self._server.standalone[req.activity_id] = StandaloneActivity(self._server, req)
        return api.StartActivityExecutionResponse(run_id=started.run_id, started=True)

    async def _poll_activity_execution(self, req: Any) -> Any:
        found = self._server.standalone[req.activity_id]
        return api.PollActivityExecutionResponse(run_id=found.run_id, outcome=await asyncio.shield(found.outcome))

    # ------------------------------------------------------------------------------- activities that have no slot

    def _attempt(self, req: Any) -> ActivityTask:
        attempt = self._server.attempts.get(req.task_token)
        if attempt is None:
            raise RPCError("invalid activityID or activity already timed out", RPCStatusCode.NOT_FOUND, b"")
        return attempt

    async def _record_activity_task_heartbeat(self, req: Any) -> Any:
        return api.RecordActivityTaskHeartbeatResponse(cancel_requested=self._attempt(req).beat())

    async def _respond_activity_task_completed(self, req: Any) -> Any:
        [result] = req.result.payloads
        self._attempt(req).answered(result, Failure())
        return api.RespondActivityTaskCompletedResponse()

    async def _respond_activity_task_failed(self, req: Any) -> Any:
        self._attempt(req).answered(Payload(), req.failure)
        return api.RespondActivityTaskFailedResponse()

    # --------------------------------------------------------------------------------------------------------- updates

    async def _update_workflow_execution(self, req: Any) -> Any:
        return await self._update(self._found(req.workflow_execution), req)

    async def _execute_multi_operation(self, req: Any) -> Any:
        """Update with start. A run that closes before it has taken the update is followed by another one."""
        starting, updating = req.operations
        while True:
            run = self._start(starting.start_workflow, updating.update_workflow.request.meta.update_id)
            try:
                updated = await self._update(run, updating.update_workflow)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                continue
            response = api.ExecuteMultiOperationResponse()
            response.responses.add().start_workflow.run_id = run.run_id
            response.responses.add().update_workflow.CopyFrom(updated)
            return response

    def _start(self, req: Any, update_id: str = "") -> Execution:
        """The run under way, or the one that has ended and knows the update, or else a new one."""
        run = self._server.newest(req.workflow_id)
        if run is not None and (not run.closed or update_id in run.updates):
            return run
        return self._server.start(
            req.workflow_id,
            req.workflow_type.name,
            req.task_queue.name,
            req.input.payloads,
            search_attributes=dict(req.search_attributes.indexed_fields),
        )

    async def _update(self, run: Execution, req: Any) -> Any:
        asked = req.request
        update = run.update(asked.meta.update_id, asked.input.name, asked.input.args.payloads, asked.meta)
        outcome: Outcome = await asyncio.shield(update.outcome)
        response = api.UpdateWorkflowExecutionResponse(stage=_COMPLETED, outcome=outcome)
        response.update_ref.update_id = asked.meta.update_id
        response.update_ref.workflow_execution.workflow_id = run.workflow_id
        response.update_ref.workflow_execution.run_id = run.run_id
        return response


def _info(run: Execution) -> WorkflowExecutionInfo:
    info = WorkflowExecutionInfo(status=run.status)
    info.execution.workflow_id, info.execution.run_id = run.workflow_id, run.run_id
    info.type.name = run.workflow_type
    info.start_time.FromDatetime(run.started_at)
    if run.closed_at is not None:
        info.close_time.FromDatetime(run.closed_at)
    if run.parent is not None:
        info.parent_execution.workflow_id = run.parent[0].workflow_id
        info.parent_execution.run_id = run.parent[0].run_id
    for name, payload in run.search_attributes.items():
        info.search_attributes.indexed_fields[name].CopyFrom(payload)
    return info
