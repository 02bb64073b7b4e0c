"""Experiment objects: start, read, list, terminate; `TidegateClient` inherits it."""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from tidegate.client.errors import NotFoundError, RefusedError
from tidegate.client.queries import Queries
from tidegate.client.refs import ExperimentRef, ExperimentSummary
from tidegate.client.runs import newest_experiments
from tidegate.client.translation import translated
from tidegate.contract import (
    EXPERIMENT_WORKFLOW,
    RELEASE_PRIORITY,
    RELEASES_QUEUE,
    SEARCH_NAMESPACE,
    SEARCH_SERVICE,
    ErrorType,
    ExperimentReport,
    ExperimentRequest,
    Signal,
    experiment_id,
    fair,
)

CALL_TIMEOUT = timedelta(seconds=20)


class ExperimentObjects(Queries):
    """Methods of a client for Experiment objects."""

    async def start_experiment(self, experiment: ExperimentRef, uid: str) -> bool:
        """Start the workflow of the Experiment object of that uid; False where it runs already.

        One that is over may run again: the workflow finds what there is to be done in the object.
        """
        request = ExperimentRequest(
            cluster=experiment.cluster, namespace=experiment.namespace, name=experiment.name, uid=uid
        )
        workflow_id = experiment_id(request.cluster, request.namespace, request.name, uid)
        attributes = [
            SearchAttributePair(SEARCH_NAMESPACE, request.namespace),
            SearchAttributePair(SEARCH_SERVICE, request.name),
        ]
        try:
            with translated(workflow_id):
                await self._temporal.start_workflow(
                    EXPERIMENT_WORKFLOW,
                    request,
                    id=workflow_id,
                    task_queue=RELEASES_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    search_attributes=TypedSearchAttributes(attributes),
                    priority=fair(RELEASE_PRIORITY, request.namespace),
                    static_summary=f"{request.namespace}/{request.name}: experiment",
                    rpc_timeout=CALL_TIMEOUT,
                )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def list_experiments(
        self, namespace: str | None = None, *, cluster: str | None = None, limit: int = 1000
    ) -> list[ExperimentSummary]:
        """The experiments started last (of one Kubernetes namespace, of one cluster), the newest at the end."""
        return await newest_experiments(self._temporal, namespace, limit, cluster=cluster)

    async def experiment_status(self, experiment: ExperimentRef) -> ExperimentReport:
        """The newest experiment of a name. Raises `NotFoundError` where there was none."""
        return await self._query((await self._newest(experiment)).workflow_id, None, ExperimentReport)

    async def terminate_experiment(self, experiment: ExperimentRef) -> None:
        """End an experiment: its pods go after its delay. Raises `RefusedError` when it is over."""
        found = await self._newest(experiment)
        handle = self._temporal.get_workflow_handle(found.workflow_id)
        try:
            await handle.signal(Signal.TERMINATE, rpc_timeout=CALL_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise RefusedError(
                    f"{found.workflow_id}: it is over", "there is nothing to end", ErrorType.REJECTED
                ) from error
            with translated(found.workflow_id):
                raise

    async def _newest(self, experiment: ExperimentRef) -> ExperimentSummary:
        found = await newest_experiments(
            self._temporal, experiment.namespace, 1, cluster=experiment.cluster, name=experiment.name
        )
        if not found:
            raise NotFoundError(
                f"{experiment.prefix}: there is no experiment of that name",
                "the name, -n/--namespace or --cluster may differ; the watcher starts one when its object is there",
            )
        return found[-1]
