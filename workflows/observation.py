"""Observation of the cluster before a version is admitted."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Observation, ReleaseRequest, RolloutObject
    from workflows.activity_calls import ActivityCalls
    from workflows.rejections import OBSERVE
    from workflows.release_status import ReleaseState


async def observe_cluster(
    calls: ActivityCalls, state: ReleaseState, request: ReleaseRequest, rollout: RolloutObject
) -> Observation:
    """The cluster's side of the Rollout. A rejection is published while it lasts.

    Raises ActivityError when nothing could be read for as long as a forward command may fail.
    """
    calls.failing_since = None
    publication = state.publication
    with state.waits.on("the cluster's objects", until=None, who="the cluster's worker"):
        try:
            while True:
                known = publication.rejections(OBSERVE)
                events = publication.pending.events(calls.target, rollout.uid)
                seen = await calls.observe(request.resolved().rollout, known, events, publication.meanwhile(rollout))
                if not seen.failing:
                    return seen
                publication.rejected(seen.failing, OBSERVE)
                calls.failing_since = publication.failing_since(OBSERVE)
                publication.show()
        finally:
            calls.failing_since = None
            publication.rejected("", OBSERVE)
