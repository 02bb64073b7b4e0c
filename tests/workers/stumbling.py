"""A release with a mistake in its code that shows as soon as it is asked for."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import ROLLOUT_WORKFLOW, ReleaseResult
    from workflows.rollout import Rollout

STUMBLE = "stumble"


@workflow.defn(name=ROLLOUT_WORKFLOW)
class Stumbling(Rollout):
    """The real release, until it stumbles: from there on each of its tasks fails."""

    @workflow.init
    def __init__(self, request: Any = None) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: Any = None) -> ReleaseResult:
        return await super().run(request)

    @workflow.signal(name=STUMBLE)
    def on_stumble(self, *arguments: Any) -> None:
        raise KeyError("a mistake")
