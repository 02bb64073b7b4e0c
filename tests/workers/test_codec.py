"""The payload codec on a real Temporal server: what a history shows, and who can read it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
)
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sandbox.machine import patience
from sandbox.processes import LOOPBACK, Program, free_port
from sandbox.temporal import TemporalServer
from tests.readable import places
from tests.workers.conftest import Terminal
from tests.workers.scripted_provider import ScriptedProvider, template
from tests.workers.scripted_release import ScriptedRelease, request
from tidegate.client import (
    AnalysisRunRef,
    FixedKeys,
    Keyring,
    ReleaseHandle,
    RolledBackError,
    RolloutRef,
    TidegateClient,
    UnreadablePayloadError,
    analysis_request,
    data_converter,
)
from tidegate.client.codec import Unreadable
from tidegate.client.keyring import KEY_FILE_VARIABLE, KEYS_VARIABLE
from tidegate.contract import (
    FOLLOW_UP_QUEUE,
    RELEASES_QUEUE,
    Activity,
    Effect,
    FollowedUp,
    FollowUpRequest,
    Signal,
    follow_ups_of,
    metrics_queue,
)
from workflows.analysis_run import AnalysisRun
from workflows.follow_up import FollowUp

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
KEYS = FixedKeys(Keyring("k1", {"k1": KEY}))
DOCUMENT = json.dumps({"current": "k1", "k1": base64.b64encode(KEY).decode()})
SERVICE = "ledger-canary"  # not the Rollout's name, which is in the workflow's id
TOKEN = "token-of-a-test"
UI = "https://temporal.internal"
SCRIPTS = Path(sysconfig.get_path("scripts"))


@workflow.defn
class Hearing:
    """Ends with the first argument of `abort`, as a door of a release takes it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self.heard))
        return repr(self.heard[0])

    @workflow.signal(name=Signal.ABORT)
    def on_abort(self, *arguments: Any) -> None:
        self.heard.append(arguments[0] if arguments else None)


@workflow.defn
class Deciding:
    """Has a notice told as a release does: by a child whose summary names the service, and waits for how that ended."""

    def __init__(self) -> None:
        self.ended: FollowedUp | None = None

    @workflow.run
    async def run(self) -> str:
        info = workflow.info()
        effect = Effect(
            name=f"notice of {SERVICE}", activity=Activity.SEND_NOTIFICATION, request={"text": f"{SERVICE} is slow"}
        )
        child = await workflow.start_child_workflow(
            FollowUp.run,
            FollowUpRequest(release=info.workflow_id, run_id=info.run_id, effects=(effect,)),
            id=f"{follow_ups_of(info.workflow_id)}notice",
            static_summary=f"notice: {SERVICE} revision 2",
            static_details=f"all that is known of {SERVICE}",
        )
        workflow.set_current_details(f"waiting for {SERVICE}")
        await workflow.sleep(0.01, summary=f"pause of {SERVICE}")
        await workflow.wait_condition(lambda: self.ended is not None)
        await child
        return "" if self.ended is None else self.ended.message

    @workflow.signal(name=Signal.FOLLOWED_UP)
    def on_followed_up(self, ended: FollowedUp) -> None:
        self.ended = ended


@activity.defn(name=Activity.SEND_NOTIFICATION)
async def tell(request: dict[str, str]) -> dict[str, str]:
    """Tell nobody."""
    return {"message": f"told: {request['text']}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def encrypted(server: TemporalServer) -> AsyncIterator[Client]:
    """A client with the codec on, and workers for releases and analysis runs that have it on as well."""
    client = await Client.connect(server.address, data_converter=data_converter(KEYS))
    provider = ScriptedProvider()
    releases = Worker(
        client,
        task_queue=RELEASES_QUEUE,
        workflows=[ScriptedRelease, AnalysisRun, Hearing, Deciding, FollowUp],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    measurements = Worker(client, task_queue=metrics_queue("prometheus"), activities=[provider.measure])
    told = Worker(client, task_queue=FOLLOW_UP_QUEUE, activities=[tell])
    async with releases, measurements, told:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def aborted(encrypted: Client, rollout: RolloutRef) -> ReleaseHandle:
    """A release of the service that was paused, and aborted for a reason that names the service."""
    client = TidegateClient(encrypted)
    handle = await client.start(request(name=rollout.name, image=f"registry.internal/{SERVICE}:1", by="alice"))
    await client.pause(rollout, reason=f"looking at {SERVICE}")
    await client.abort(rollout, reason=f"{SERVICE} is slow")
    with pytest.raises(RolledBackError, match=f"{SERVICE} is slow"):
        await client.wait(handle)
    return handle


async def raw_history(client: Client, workflow_id: str) -> bytes:
    """A history as the server gives it, and what it tells of the workflow."""
    execution = WorkflowExecution(workflow_id=workflow_id)
    history = await client.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(namespace=client.namespace, execution=execution)
    )
    assert not history.next_page_token
    described = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=execution)
    )
    return history.SerializeToString() + described.SerializeToString()


async def test_a_history_of_a_release_shows_no_service(encrypted: Client, aborted: ReleaseHandle) -> None:
    raw = await raw_history(encrypted, aborted.rollout.workflow_id)
    assert b"binary/encrypted" in raw
    for word in (SERVICE, "registry.internal", "is slow"):
        assert word.encode() not in raw
        assert base64.b64encode(word.encode()) not in raw


async def test_the_name_of_the_rollout_stands_in_ids_and_search_attributes_alone_and_a_person_in_these(
    encrypted: Client, aborted: ReleaseHandle
) -> None:
    execution = WorkflowExecution(workflow_id=aborted.rollout.workflow_id)
    history = await encrypted.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(namespace=encrypted.namespace, execution=execution)
    )
    assert places(history, aborted.rollout.name) == {"workflow_id", "indexed_fields"}
    assert places(history, "alice") == {"indexed_fields"}


async def test_what_was_said_without_the_codec_is_found_by_the_same_search(temporal: Client, encrypted: Client) -> None:
    handle = await encrypted.start_workflow(Hearing.run, id=f"hearing-{uuid.uuid4()}", task_queue=RELEASES_QUEUE)
    await temporal.get_workflow_handle(handle.id).signal(Signal.ABORT, {"reason": f"{SERVICE} is slow"})
    await handle.result()
    assert SERVICE.encode() in await raw_history(encrypted, handle.id)


async def test_an_analysis_run_shows_neither_service_nor_query_nor_reading(encrypted: Client) -> None:
    client = TidegateClient(encrypted)
    run = AnalysisRunRef("payments", f"check-{uuid.uuid4().hex[:8]}")
    asked = analysis_request([template()], {"service": SERVICE}, namespace=run.namespace, name=run.name)
    await client.run_analysis(asked)
    status = await client.wait_for_analysis(run)
    assert SERVICE in status.metrics[0].measurements[0].query
    raw = await raw_history(encrypted, run.workflow_id)
    for word in (SERVICE, "scalar(errors", "result < 0.01", "error-rate", "Successful"):
        assert word.encode() not in raw, word


async def test_summaries_of_a_release_and_of_what_follows_it_show_no_service(encrypted: Client) -> None:
    handle = await encrypted.start_workflow(
        Deciding.run,
        id=f"deciding-{uuid.uuid4()}",
        task_queue=RELEASES_QUEUE,
        static_summary=f"release of {SERVICE}",
        static_details=f"all of {SERVICE}",
    )
    assert await handle.result() == f"told: {SERVICE} is slow"
    follow_up = f"{follow_ups_of(handle.id)}notice"
    for workflow_id in (handle.id, follow_up):
        raw = await raw_history(encrypted, workflow_id)
        assert raw.count(b"binary/encrypted") > 3
        assert SERVICE.encode() not in raw
    # It is there, for whoever has the key.
    described = await encrypted.get_workflow_handle(follow_up).describe()
    assert await described.static_summary() == f"notice: {SERVICE} revision 2"


@pytest.mark.parametrize(
    "keys", [None, FixedKeys(Keyring("k2", {"k2": OTHER})), FixedKeys(Keyring("k1", {"k1": OTHER}))]
)
async def test_who_has_not_the_key_is_told_which_it_is(
    server: TemporalServer, aborted: ReleaseHandle, keys: FixedKeys | None
) -> None:
    stranger = TidegateClient(await Client.connect(server.address, data_converter=data_converter(keys)))
    with pytest.raises(UnreadablePayloadError, match="key 'k1'"):
        await stranger.status(aborted.rollout)


@pytest.mark.parametrize(
    ("sender", "heard"),
    [
        (FixedKeys(Keyring("k9", {"k9": OTHER})), repr(Unreadable("k9"))),
        (FixedKeys(Keyring("k1", {"k1": OTHER})), repr(Unreadable("k1"))),
        (None, repr({"by": "alice"})),
    ],
)
async def test_an_abort_that_nobody_can_read_is_an_abort_and_a_plain_one_is_read(
    server: TemporalServer, encrypted: Client, sender: FixedKeys | None, heard: str
) -> None:
    handle = await encrypted.start_workflow(Hearing.run, id=f"hearing-{uuid.uuid4()}", task_queue=RELEASES_QUEUE)
    other = await Client.connect(server.address, data_converter=data_converter(sender))
    await other.get_workflow_handle(handle.id).signal(Signal.ABORT, {"by": "alice"})
    async with asyncio.timeout(patience(10)):
        assert await handle.result() == heard


async def test_the_command_reads_with_the_keys_of_its_environment(
    tidegate: Terminal, aborted: ReleaseHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("status", aborted.rollout.name, "-o", "json")
    assert await tidegate(*asked) == 1
    out, err = tidegate.read()
    assert "a payload is encrypted with key 'k1'" in err
    assert "remedy: give this process the key" in err.replace("\n", " ")
    monkeypatch.setenv(KEYS_VARIABLE, DOCUMENT)
    assert await tidegate(*asked) == 2
    assert SERVICE in tidegate.out()
    assert SERVICE not in out


class Served:
    """`tidegate codec serve` as a process."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        keys, token = folder / "keys.json", folder / "token"
        keys.write_text(DOCUMENT)
        token.write_text(f"{TOKEN}\n")
        argv = [sys.executable, "-c", "from tidegate.cli import main; main()", "codec", "serve", "--port", str(port)]
        argv += ["--origin", f"{UI}/", "--token-file", str(token)]
        env = {KEY_FILE_VARIABLE: str(keys), "HOME": str(folder)}
        self.program = Program("codec", argv, log_file=folder / "codec.log", env=env, cwd=Path(__file__).parents[2])

    async def ready(self) -> bool:
        try:
            async with httpx.AsyncClient() as http:
                return (await http.post(f"{self.url}/decode")).status_code == 401
        except httpx.TransportError:
            return False


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        served = Served(tmp_path_factory.mktemp("codec"))
        await served.program.start(served.ready, timeout=20)
        stack.push_async_callback(served.program.stop)
        yield served


def shown(server: TemporalServer, workflow_id: str, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `temporal workflow show` says."""
    command = [str(SCRIPTS / "temporal"), "workflow", "show", "--address", server.address, "--workflow-id", workflow_id]
    return subprocess.run(
        [*command, "--output", "json", *options],
        capture_output=True,
        text=True,
        timeout=30,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
    )


def readable(output: str) -> str:
    """The output and the contents of the payloads in it."""
    contents = [base64.b64decode(data) for data in re.findall(r'"data": "([^"]*)"', output)]
    return "\n".join([output, *(content.decode("utf-8", "replace") for content in contents)])


async def test_the_temporal_command_reads_a_history_through_the_codec_server(
    server: TemporalServer, aborted: ReleaseHandle, served: Served, tmp_path: Path
) -> None:
    identity = aborted.rollout.workflow_id
    alone = await asyncio.to_thread(shown, server, identity, tmp_path)
    assert alone.returncode == 0
    assert SERVICE not in readable(alone.stdout)
    through = ("--codec-endpoint", served.url, "--codec-auth", f"Bearer {TOKEN}")
    helped = await asyncio.to_thread(shown, server, identity, tmp_path, *through)
    assert helped.returncode == 0, helped.stderr
    assert f"registry.internal/{SERVICE}:1" in readable(helped.stdout)
    assert f"{SERVICE} is slow" in readable(helped.stdout)


async def test_the_served_process_answers_the_preflight_of_its_ui_alone(served: Served) -> None:
    async with httpx.AsyncClient() as http:
        asked = {"Access-Control-Request-Method": "POST"}
        ours = await http.options(f"{served.url}/decode", headers={**asked, "Origin": UI})
        theirs = await http.options(f"{served.url}/decode", headers={**asked, "Origin": "https://evil.example"})
    assert (ours.status_code, ours.headers["Access-Control-Allow-Origin"]) == (204, UI)
    assert (theirs.status_code, theirs.headers.get("Access-Control-Allow-Origin")) == (403, None)


@pytest.fixture
def _with_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, DOCUMENT)


@pytest.mark.usefixtures("_with_keys")
@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (("--host", "10.0.0.1"), 64, "10.0.0.1: others than this machine would read everything"),
        (("--token-file", "/nowhere/token"), 64, "/nowhere/token: No such file"),
        (("--token-file", os.devnull), 64, "no token in it"),
        (("--origin", "*"), 64, "'*' is not like https://temporal.internal"),
        (("--origin", "https://temporal.internal/ui"), 64, "is not like"),
    ],
)
async def test_a_server_that_would_tell_too_much_does_not_start(
    tidegate: Terminal, options: tuple[str, ...], code: int, complaint: str
) -> None:
    assert await tidegate("codec", "serve", "--port", "0", *options) == code
    assert complaint in tidegate.read()[1].replace("\n", " ")


async def test_a_server_without_keys_does_not_start(tidegate: Terminal) -> None:
    assert await tidegate("codec", "serve", "--port", "0") == 64
    assert "there are no keys" in tidegate.read()[1]
