"""The look at the cluster before a version is taken on."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Observation, ReleaseRequest, RolloutObject
    from workflows.activity_calls import ActivityCalls
    from workflows.rejections import LOOKS
    from workflows.release_status import ReleaseState


async def first_look(
    calls: ActivityCalls, state: ReleaseState, wanted: ReleaseRequest, asked: RolloutObject
) -> Observation:
    """What stands in the cluster; what it refuses to show is told while it does.

    Raises ActivityError when nothing could be seen for as long as a forward command may fail.
    """
    calls.failing_since = None
    publication = state.publication
    with state.waits.on("the cluster's objects", until=None, who="the cluster's worker"):
        try:
            while True:
                known = publication.rejections(LOOKS)
                events = publication.pending.events(calls.target, asked.uid)
                seen = await calls.observe(wanted.resolved().rollout, known, events, publication.meanwhile(asked))
                if not seen.failing:
                    return seen
                publication.rejected(seen.failing, LOOKS)
                calls.failing_since = publication.failing_since(LOOKS)
                publication.show()
        finally:
            calls.failing_since = None
            publication.rejected("", LOOKS)
