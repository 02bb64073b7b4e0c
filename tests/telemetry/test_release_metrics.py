"""Metrics of a release, as Prometheus gets them from its worker."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowFailureError

from tests.telemetry.metering import Metering
from tests.virtual.releases import release_world


async def test_a_release_that_is_replayed_at_each_task_counts_everything_once() -> None:
    metering = Metering()
    async with release_world(cached=0, runtime=metering.runtime) as world:
        await world.deploy_stable()
        world.datadog.answers["error-rate"] = [0.2]
        handle = await world.start(world.request("1.1.0"))
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.followed_up(handle)
        assert metering.samples("tidegate_") == {
            "tidegate_releases_started_total": 2,
            "tidegate_releases_ended_total Healthy": 1,
            "tidegate_releases_ended_total RolloutAborted": 1,
            "tidegate_step_duration_seconds_count done setWeight": 1,
            "tidegate_step_duration_seconds_count done pause": 1,
            "tidegate_step_duration_seconds_count failed analysis": 1,
            "tidegate_analysis_runs_total Background Failed": 1,
            "tidegate_verdict_to_stable_seconds_count analysis": 1,
            "tidegate_follow_ups_total open_incident done": 1,
            "tidegate_follow_ups_total note_incident done": 2,
        }
        assert metering.sum_of("tidegate_step_duration_seconds") > 120  # of which the pause is the most
        assert metering.sum_of("tidegate_verdict_to_stable_seconds") < 60
