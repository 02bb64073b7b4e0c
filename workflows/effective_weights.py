"""The weights of a version that took effect: written and read back, with the pods that shared the traffic then."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.compare.models import Weight
    from tidegate.contract import ReleaseStatus


class EffectiveWeights:
    """In order of time. `is_last` says of the desired weight that all of the traffic follows it."""

    def __init__(self) -> None:
        self.all: tuple[Weight, ...] = ()
        self.is_last = False

    def add(self, percent: int, status: ReleaseStatus) -> None:
        """Add the weight that was read back now; `status` has the counts of pods."""
        pods = {each.hash: each.available for each in status.replica_sets}
        weight = Weight(
            since=workflow.now().timestamp(),
            share=percent / 100,
            canary_pods=pods.get(status.desired_hash, 0),
            stable_pods=pods.get(status.stable_hash, 0),
            index=sum(weight.share > 0 for weight in self.all),
            last=self.is_last,
        )
        self.all = (*self.all, weight)
