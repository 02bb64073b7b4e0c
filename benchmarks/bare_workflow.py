"""The control of the analysis run's benchmark: waits and asks just as often, and does nothing else."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.reading import Reading
    from tidegate.contract import Activity, MeasureRequest, metrics_queue

BARE_WORKFLOW = "Bare"


@workflow.defn(name=BARE_WORKFLOW)
class Bare:
    """What Temporal itself costs for a wait and an activity."""

    @workflow.run
    async def run(self, request: MeasureRequest, interval: timedelta, rounds: int) -> None:
        """So many rounds of an interval and a measurement, continued as new when the server suggests it."""
        for done in range(rounds):
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(args=[request, interval, rounds - done])
            await workflow.sleep(interval)
            await workflow.execute_activity(
                Activity.MEASURE_DATADOG,
                request,
                result_type=list[Reading],
                task_queue=metrics_queue("datadog"),
                start_to_close_timeout=timedelta(minutes=1),
            )
