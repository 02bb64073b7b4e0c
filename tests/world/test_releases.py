"""What a person sees: releases of the seed's example through real Temporal, Envoy and OpenBao, under load."""

from __future__ import annotations

import io
import json
import time

import aiohttp
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from sandbox.account import counted_weights, failing_verdict, requests_by_version, seconds_to_zero
from sandbox.world import SLACK_CHANNEL, manifest_of
from tests.world.conftest import Releases
from tidegate.cli.schema import SchemaKind, schema_of
from tidegate.contract import ErrorType, ReleaseStatus

pytestmark = [pytest.mark.world, pytest.mark.asyncio(loop_scope="session")]
SERVICE = "checkout"
MANIFEST = manifest_of(SERVICE)


def weighted(weight: int) -> object:
    return lambda status: status.actual_weight == weight and status.finished_at is None


async def test_a_good_version_reaches_100_percent_and_envoy_did_what_was_set(releases: Releases) -> None:
    result = await releases.ended(await releases.start("1.1.0"))
    assert result.outcome == "Healthy", result.message
    status = result.status
    assert [row.canary for row in status.weights] == [10, 25, 50, 100]
    assert {analysis.status.phase for analysis in status.analyses} == {"Successful"}
    await releases.world.telemetry.flushed()
    counted = counted_weights(releases.world.telemetry, status, time.time())
    assert all(row["requests"] > 1000 for row in counted[:3])
    for row in counted:
        assert abs(row["counted"] - row["set"]) <= 3, row


async def test_a_bad_version_dies_at_the_first_gate(releases: Releases) -> None:
    result = await releases.ended(await releases.start("1.2.0-bad"))
    assert result.outcome == ErrorType.ROLLOUT_ABORTED
    status = result.status
    assert [row.canary for row in status.weights] == [10, 0]
    telemetry = releases.world.telemetry
    await telemetry.flushed()
    to_zero = seconds_to_zero(telemetry, status)
    assert to_zero is not None
    assert to_zero < 5
    await _nothing_goes_to(releases, status)
    assert requests_by_version(telemetry, SERVICE, status, _end(status))
    await _one_incident_with_its_evidence(releases, status)
    git = releases.world.git
    [commit] = git.with_trailer("Tidegate-Run", status.run_id)
    assert "checkout:1.1.0" in git.file(MANIFEST, commit)
    assert "1.2.0-bad" in git.file(MANIFEST, f"{commit}~1")
    messages = releases.world.slack.channels[SLACK_CHANNEL].messages
    [message] = [each for each in messages if f"revision {status.revision}:" in each.text]
    assert "aborted" in message.text


async def test_a_slow_version_dies_at_the_same_gate(releases: Releases) -> None:
    result = await releases.ended(await releases.start("1.3.0-slow"))
    assert result.outcome == ErrorType.ROLLOUT_ABORTED
    assert "p99-latency" in result.message
    assert [row.canary for row in result.status.weights] == [10, 0]
    assert failing_verdict(result.status) is not None


async def test_a_killed_worker_and_a_killed_server_cost_a_release_nothing(releases: Releases) -> None:
    world = releases.world
    handle = await releases.start("1.4.0")
    await releases.until(weighted(10))
    worker = await _killed_and_back(releases)
    assert worker
    await releases.until(weighted(25))
    await world.temporal.kill()
    await world.temporal.start()
    await releases.until(weighted(50))
    result = await releases.ended(handle)
    assert result.outcome == "Healthy", result.message
    assert [row.canary for row in result.status.weights] == [10, 25, 50, 100], "no weight was written twice"


async def test_plain_temporal_commands_abort_and_promote(releases: Releases) -> None:
    await releases.start("1.5.0")
    await releases.until(weighted(10))
    workflow = ["--workflow-id", "rollout/default/payments/checkout"]
    await releases.until(lambda s: s.phase == "Paused")
    await releases.temporal_cli("workflow", "signal", *workflow, "--name", "promote")
    await releases.until(lambda s: s.step_index == 2)
    await releases.temporal_cli("workflow", "signal", *workflow, "--name", "abort", "--input", '{"reason":"smell"}')
    status = await releases.until(lambda s: s.finished_at is not None)
    assert status.phase == "Degraded"
    assert "smell" in status.message
    assert status.actual_weight == 0


async def test_no_credential_is_in_a_history_a_log_or_a_page(releases: Releases) -> None:
    world = releases.world
    secrets = [secret.encode() for secret in world.credentials.all()]
    secrets.append(world.vault.secret_id_file.read_bytes())
    seen = [file.read_bytes() for file in world.state.rglob("*.log")]
    async for workflow in releases.temporal.list_workflows():
        handle = releases.temporal.get_workflow_handle(workflow.id, run_id=workflow.run_id)
        history = await handle.fetch_history()
        seen.append(b"".join(event.SerializeToString() for event in history.events))
    seen.append(world.git.everything())
    seen += [file.content for file in world.servicenow.records.attachments.values()]
    pages = (f"{world.servicenow.url}/", f"{world.servicenow.url}/incident/INC0010001")
    async with aiohttp.ClientSession() as session:
        for url in (*pages, world.slack.page_url(SLACK_CHANNEL)):
            async with session.get(url) as answer:
                assert answer.status == 200
                seen.append(await answer.read())
    assert b"checkout:1.2.0-bad" in world.git.everything()
    assert any(content.startswith(b"\x89PNG") for content in seen)
    assert len(seen) > 10
    assert sum(map(len, seen)) > 10_000
    for secret in secrets:
        assert not any(secret in text for text in seen)


async def _killed_and_back(releases: Releases) -> bool:
    worker = releases.world.worker
    assert worker is not None
    before = worker.program.pid
    await worker.program.kill()
    return (await releases.world.start_worker()).pid != before


async def _nothing_goes_to(releases: Releases, status: ReleaseStatus) -> None:
    telemetry = releases.world.telemetry
    await telemetry.flushed()
    before = telemetry.totals()
    await telemetry.flushed()
    await telemetry.flushed()
    after = telemetry.totals()
    assert after[status.stable_hash].sent > before[status.stable_hash].sent
    assert after[status.desired_hash].sent == before[status.desired_hash].sent


async def _one_incident_with_its_evidence(releases: Releases, status: ReleaseStatus) -> None:
    assert status.incident is not None
    records = releases.world.servicenow.records
    incident = records.by_number(status.incident.number)
    assert incident is not None
    files = {str(file.fields["file_name"]): file.content for file in records.files_of(incident)}
    failed = next(a for a in status.analyses if a.status.phase == "Failed")
    run = f"analysisrun-{failed.name}.json"
    runs = {f"analysisrun-{each.name}.json" for each in status.analyses}  # the background may have a reading by then
    assert {run, "release.json", "readings.png"} <= set(files) <= {"release.json", "readings.png", *runs}
    Draft202012Validator(schema_of(SchemaKind.ANALYSIS_RUN)).validate(json.loads(files[run]))
    Draft202012Validator(schema_of(SchemaKind.RELEASE)).validate(json.loads(files["release.json"]))
    assert Image.open(io.BytesIO(files["readings.png"])).format == "PNG"
    async with aiohttp.ClientSession() as session, session.get(status.incident.url) as answer:
        assert run in await answer.text()
    password = releases.world.credentials.servicenow_password
    login = {"Authorization": aiohttp.encode_basic_auth("tidegate", password)}
    table = f"{releases.world.servicenow.url}/api/now/table/incident"
    async with aiohttp.ClientSession(headers=login) as session, session.get(table) as answer:
        rows = (await answer.json())["result"]
    assert sum(1 for row in rows if status.run_id in row["correlation_id"]) == 1


def _end(status: ReleaseStatus) -> float:
    assert status.finished_at is not None
    return status.finished_at.timestamp()
