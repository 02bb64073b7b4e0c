"""Release of the objects of a deleted Rollout; `TidegateClient` inherits it."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from tidegate.client.refs import RolloutRef
from tidegate.client.translation import translated
from tidegate.contract import LET_GO_WORKFLOW, RELEASES_QUEUE, LetGo, Target, let_go_id


class Claims:
    """Methods of a client for deleted Rollouts."""

    _temporal: Client

    async def let_go(self, rollout: RolloutRef, uid: str) -> bool:
        """Release the Services and Deployments that the Rollout object of that uid had claimed.

        Waits for nothing; False when it was started before, which counts once.
        """
        target = Target(namespace=rollout.namespace, name=rollout.name)
        workflow_id = let_go_id(rollout.cluster, rollout.namespace, rollout.name, uid)
        try:
            with translated(workflow_id):
                await self._temporal.start_workflow(
                    LET_GO_WORKFLOW,
                    LetGo(cluster=rollout.cluster, target=target, uid=uid),
                    id=workflow_id,
                    task_queue=RELEASES_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    static_summary=f"{rollout.name} was deleted",
                )
        except WorkflowAlreadyStartedError:
            return False
        return True
