"""The status of a release, as its parts share it: a frozen payload that each change replaces."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import ReleaseStatus
    from tidegate.rollouts.phase import RolloutPhase


class StatusRecord:
    """The `ReleaseStatus` of this run. `current` is replaced, never changed.

    Attributes:
        waiting_for: the kind of the current wait, which no pass changes; empty without a wait.
        labels: those of the Rollout, by which releases are selected.
    """

    def __init__(self) -> None:
        info = workflow.info()
        cluster, namespace, name = [*info.workflow_id.split("/", 3)[1:], "", "", ""][:3]
        self.waiting_for = ""
        self.labels: dict[str, str] = {}
        self.current = ReleaseStatus(
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            first_run_id=info.first_execution_run_id,
            cluster=cluster,
            namespace=namespace,
            name=name,
            phase=RolloutPhase.PROGRESSING,
            message="checking the manifests",
            started_at=info.start_time,
        )

    def set(self, **changes: object) -> None:
        """Replace fields of the status by name. Raises ValueError for a name that is none of them."""
        if unknown := changes.keys() - ReleaseStatus.model_fields.keys():
            raise ValueError(f"ReleaseStatus has no field {', '.join(sorted(unknown))}")
        self.current = self.current.model_copy(update=changes)
