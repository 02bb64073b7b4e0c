"""One version that a release brings out, with everything that works on it."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.activity_calls import ActivityCalls
    from workflows.gates import Background
    from workflows.handlers import Inbox
    from workflows.holds import Holds
    from workflows.plan import Plan
    from workflows.reconciler import Reconciler
    from workflows.release_status import ReleaseState
    from workflows.restarts import PodRestarts


@dataclass(frozen=True)
class ActiveRelease:
    """The version under way, as admission makes it of a request. A newer version is another one with these `calls`."""

    plan: Plan
    calls: ActivityCalls
    reconciler: Reconciler
    restarts: PodRestarts
    background: Background
    holds: Holds

    @classmethod
    def of(cls, plan: Plan, calls: ActivityCalls, inbox: Inbox, state: ReleaseState) -> ActiveRelease:
        """Everything at rest; nothing works before it is started."""
        background = Background(plan, state)
        return cls(
            plan=plan,
            calls=calls,
            reconciler=Reconciler(plan, calls, state),
            restarts=PodRestarts(plan, calls, state),
            background=background,
            holds=Holds(inbox, state, background, plan.hold_limit),
        )

    @property
    def is_stable(self) -> bool:
        """True when the version was promoted: it is no longer aborted."""
        return self.plan.hash == self.reconciler.desired.stable_hash
