"""The queries of a release, each sent once before it, with the stable version in the canary's place."""

from __future__ import annotations

from tests.replay.replayer import replayer
from tests.virtual.releases import World
from tidegate.contract import DOCTOR_WORKFLOW, RELEASES_QUEUE, Checks, CheckState, DoctorRequest, metrics_queue


async def checks(world: World) -> Checks:
    request = DoctorRequest(namespace="payments", queues=(metrics_queue("datadog"),), release=world.request("1.1.0"))
    handle = await world.client.start_workflow(
        DOCTOR_WORKFLOW, request, id="doctor/default/payments/1", task_queue=RELEASES_QUEUE, result_type=Checks
    )
    found: Checks = await handle.result()
    await replayer().replay_workflow(await handle.fetch_history())
    return found


async def test_a_query_with_a_series_is_fine_and_one_without_is_named(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers["error-rate"] = [None]
    lines = {each.name: each for each in (await checks(world)).checks}
    queries = {name: line.state for name, line in lines.items() if name.startswith("query ")}
    assert queries.pop("query error-rate") is CheckState.WRONG
    assert set(queries.values()) == {CheckState.OK}
    silent = lines["query error-rate"]
    assert "no series for the stable version" in silent.detail
    assert "DD_KUBERNETES_POD_LABELS_AS_TAGS" in silent.remedy
    assert world.cluster.writes == [], "it reads, and changes nothing"


async def test_before_the_first_version_there_is_no_series_to_look_for(world: World) -> None:
    *_, last = (await checks(world)).checks
    assert (last.name, last.state) == ("queries", CheckState.ABSENT)
