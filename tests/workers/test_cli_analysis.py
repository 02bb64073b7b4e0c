"""Analysis runs from the command line against a real Temporal server: run, follow, end, list, explain."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from pathlib import Path

import pytest
from temporalio.client import Client

from sandbox.temporal import TemporalServer
from tests.workers.conftest import Terminal
from tests.workers.scripted_provider import ScriptedProvider, endless, template, text
from tidegate.client import AnalysisRunRef, TidegateClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def run() -> AnalysisRunRef:
    return AnalysisRunRef("payments", f"check-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def once(tmp_path: Path) -> str:
    file = tmp_path / "once.yaml"
    file.write_text(text(template()))
    return str(file)


@pytest.fixture
def forever(tmp_path: Path) -> str:
    file = tmp_path / "forever.yaml"
    file.write_text(text(endless()))
    return str(file)


def command(file: str, run: AnalysisRunRef, *more: str) -> tuple[str, ...]:
    return ("analysis", "run", "-f", file, "--arg", "service=checkout", "--name", run.name, *more)


async def test_a_run_tells_its_measurements_and_then_its_verdict(
    tidegate: Terminal, provider: ScriptedProvider, once: str, run: AnalysisRunRef
) -> None:
    provider.value = 0.001
    assert await tidegate(*command(once, run)) == 0
    started, measured, verdict, metric = tidegate.out().splitlines()
    assert started == f"analysis run '{run.name}' started: {run.workflow_id}"
    assert measured.endswith("  error-rate  ✔ Successful  0.001  0.001 meets success `result < 0.01`")
    assert verdict == f"✔ Successful  analysis run {run.name} ended Successful"
    assert metric == "✔ Successful  error-rate is good: 0.001 meets success `result < 0.01`"


@pytest.mark.parametrize(
    ("value", "code", "phase"), [(0.2, 2, "Failed"), (0.03, 3, "Inconclusive"), (None, 3, "Inconclusive")]
)
async def test_the_exit_code_is_the_verdict(
    tidegate: Terminal,
    provider: ScriptedProvider,
    tmp_path: Path,
    run: AnalysisRunRef,
    value: float | None,
    code: int,
    phase: str,
) -> None:
    provider.value = value
    file = tmp_path / "strict.yaml"
    file.write_text(text(template(inconclusiveLimit=0) if value is not None else template(interval="1s", count=1)))
    assert await tidegate(*command(str(file), run, "-o", "json")) == code
    out, err = tidegate.read()
    status = json.loads(out)
    assert (status["schema_version"], status["kind"], status["phase"]) == (1, "AnalysisStatus", phase)
    [measurement, *_] = status["metrics"][0]["measurements"]
    assert measurement["query"] == 'scalar(errors{app="checkout-canary"})'
    assert phase in err


async def test_a_finished_run_is_shown_with_query_limit_and_reasons(
    tidegate: Terminal, provider: ScriptedProvider, once: str, run: AnalysisRunRef
) -> None:
    provider.value = 0.2
    assert await tidegate(*command(once, run)) == 2
    tidegate.read()
    assert await tidegate("get", "analysisrun", run.name) == 0
    shown = tidegate.out()
    assert "  limit: failed (1) > failureLimit (0)\n" in shown
    assert '  query:\n    scalar(errors{app="checkout-canary"})\n' in shown
    assert "0.2 meets failure `result >= 0.05`" in shown
    assert await tidegate("explain", f"analysisrun/{run.name}") == 0
    headline, *_ = tidegate.out().splitlines()
    assert headline == (
        f"✖ analysis run {run.name} ended Failed: "
        "error-rate is bad (failed (1) > failureLimit (0)): 0.2 meets failure `result >= 0.05`"
    )


async def test_a_run_goes_on_when_its_watcher_does_not_and_ends_when_told(
    tidegate: Terminal, client: TidegateClient, provider: ScriptedProvider, forever: str, run: AnalysisRunRef
) -> None:
    assert await tidegate(*command(forever, run, "--timeout", "2s")) == 4
    assert f"tidegate get analysisrun {run.name} -n payments --watch" in tidegate.read()[1]
    assert await tidegate(*command(forever, run, "--no-wait")) == 0, "the same request is the same run"
    watching = asyncio.create_task(tidegate("get", "analysisrun", run.name, "--watch"))
    await asyncio.sleep(0)
    assert await tidegate("analysis", "terminate", run.name) == 0
    assert await watching == 0
    assert "✔ Successful  0.001" in tidegate.out()
    status = await client.analysis_status(run)
    assert (status.phase, status.message) == ("Successful", "Run Terminated")
    assert await tidegate("analysis", "terminate", run.name) == 5
    assert "the analysis run has ended" in tidegate.read()[1]


async def test_another_run_of_a_name_that_is_under_way_is_refused(
    tidegate: Terminal, provider: ScriptedProvider, forever: str, once: str, run: AnalysisRunRef
) -> None:
    assert await tidegate(*command(forever, run, "--no-wait", "-o", "json")) == 0
    assert json.loads(tidegate.out())["workflow_id"] == run.workflow_id
    assert await tidegate(*command(once, run)) == 5
    assert "with other templates or arguments, is under way" in tidegate.read()[1]
    assert await tidegate("analysis", "terminate", run.name) == 0


async def test_runs_are_listed_with_their_verdicts(
    tidegate: Terminal, provider: ScriptedProvider, once: str, run: AnalysisRunRef
) -> None:
    assert await tidegate(*command(once, run)) == 0
    tidegate.read()
    listed = ""
    while f"{run.name}  ✔ Successful" not in listed:  # visibility follows the history by a moment
        assert await tidegate("list", "analysisruns") == 0
        listed = tidegate.out()
    [line] = [line.split() for line in listed.splitlines() if run.name in line]
    assert line[:5] == [run.name, "✔", "Successful", "✔", "1"]
    assert await tidegate("list", "analysisruns", "--cluster", "default", "-o", "json") == 0
    found = {each["name"]: each["phase"] for each in json.loads(tidegate.out())["items"]}
    assert found[run.name] == "Successful"
    assert await tidegate("list", "analysisruns", "--cluster", "elsewhere", "-o", "json") == 0
    assert json.loads(tidegate.out())["items"] == []


async def test_an_interrupted_wait_leaves_the_run_and_says_how_to_look(
    server: TemporalServer, client: TidegateClient, provider: ScriptedProvider, forever: str, run: AnalysisRunRef
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        # Whoever runs this suite in the background of a shell has it ignore the signal, and all that it starts.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from tidegate.cli import main; main()",
        *command(forever, run, "-n", "payments"),
        env={**os.environ, "TEMPORAL_ADDRESS": server.address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"started" in await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert f"look with `tidegate get analysisrun {run.name} -n payments --watch`" in err.decode()
    assert not (await client.analysis_status(run)).phase.completed
    await client.terminate_analysis(run)


async def test_what_was_stopped_on_the_server_proves_nothing(
    tidegate: Terminal, temporal: Client, client: TidegateClient, forever: str, run: AnalysisRunRef
) -> None:
    assert await tidegate(*command(forever, run, "--no-wait")) == 0
    await temporal.get_workflow_handle(run.workflow_id).terminate("by mistake")
    status = await client.analysis_status(run)  # no worker ever saw it
    assert status.phase == "Inconclusive"
    assert "ended from outside, without a verdict" in status.message
    assert await tidegate("get", "analysisrun", run.name, "--watch") == 0


async def test_a_run_that_nobody_knows_says_how_long_one_is_kept(tidegate: Terminal) -> None:
    assert await tidegate("explain", "analysisrun/nobody") == 7
    assert "or it ended more than" in tidegate.read()[1]
    assert await tidegate("explain", "nobody") == 7
    assert "there is no such release, or it ended more than" in tidegate.read()[1]
