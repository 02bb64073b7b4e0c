"""Logs: what a line looks like, what it is bound to, and what never stands in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from temporalio import activity
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from tests.log_lines import log_stream
from workers.log_context import LogContext
from workers.logs import MASK, configure_logs, redact


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with log_stream() as stream:
        yield stream


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_on_a_pipe_a_line_is_json_whoever_wrote_it(lines: io.StringIO) -> None:
    structlog.get_logger("ours").info("weight written", weight=10)
    logging.getLogger("temporalio.worker").warning("poll_workflow_task retried %d times", 6)
    ours, theirs = written(lines)
    assert (ours["event"], ours["weight"], ours["level"], ours["logger"]) == ("weight written", 10, "info", "ours")
    assert (theirs["event"], theirs["level"]) == ("poll_workflow_task retried 6 times", "warning")
    assert ours["timestamp"].endswith("Z")


def test_an_exception_is_one_line(lines: io.StringIO) -> None:
    try:
        raise ValueError("weight 120")
    except ValueError:
        structlog.get_logger("ours").exception("refused")
    [line] = written(lines)
    assert line["exception"][0]["exc_value"] == "weight 120"


def test_what_the_sdk_says_of_a_workflow_is_in_fields(lines: io.StringIO) -> None:
    context = {"workflow_id": "rollout/default/payments/checkout", "run_id": "1", "task_queue": "q"}
    logging.getLogger("workflow").info("step done", extra={"temporal_workflow": context})
    [line] = written(lines)
    assert (line["workflow_id"], line["run_id"]) == ("rollout/default/payments/checkout", "1")
    assert "temporal_workflow" not in line


async def test_lines_of_an_activity_carry_its_ids(lines: io.StringIO) -> None:
    class Inside(ActivityInboundInterceptor):
        def __init__(self) -> None:
            pass

        async def execute_activity(self, call: ExecuteActivityInput) -> Any:
            structlog.get_logger("ours").info("inside")
            return activity.info().attempt

    async def attempt() -> Any:
        call = ExecuteActivityInput(fn=attempt, args=[], executor=None, headers={})
        return await LogContext().intercept_activity(Inside()).execute_activity(call)

    assert await ActivityEnvironment().run(attempt) == 1
    structlog.get_logger("ours").info("outside")
    inside, outside = written(lines)
    assert (inside["workflow_id"], inside["activity_type"], inside["attempt"]) == ("test", "unknown", 1)
    assert "workflow_id" not in outside


def test_a_secret_is_masked_however_deep_it_stands(lines: io.StringIO) -> None:
    structlog.get_logger("ours").warning(
        "refused",
        api_key="k1",
        headers=[{"DD-APPLICATION-KEY": "k4", "Authorization": "Bearer k2"}],
        vault={"appKey": "k3"},
    )
    assert not {"k1", "Bearer k2", "k3", "k4"} & set(lines.getvalue().split('"'))


SECRET_NAMES = st.sampled_from(
    [
        "api_key",
        "api-key",
        "apiKey",
        "appKey",
        "app_key",
        "DD-API-KEY",
        "password",
        "token",
        "client_token",
        "secret_id",
    ]
)


SHAPES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "flat": lambda name, value: {name: value},
    "mapping": lambda name, value: {"around": {name: value}},
    "list": lambda name, value: {"around": [{name: value}]},
}


@given(SECRET_NAMES, st.text(min_size=1), st.sampled_from(sorted(SHAPES)))
def test_the_value_of_a_secret_name_never_stays(name: str, value: str, shape: str) -> None:
    assert redact(None, "info", SHAPES[shape](name, value)) == SHAPES[shape](name, MASK)


def test_where_a_secret_is_may_be_said() -> None:
    event = {"secret_path": "secret/argo-rollouts/datadog", "api_key_file": "/run/key", "tokens_left": 3}
    assert redact(None, "info", event) == event


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["pipe", "terminal"])
def test_a_traceback_holds_no_local_variable(lines: io.StringIO, stream: io.StringIO) -> None:
    configure_logs("INFO", stream)
    credential = "s3cr3t-" + "in-a-local"
    try:
        raise RuntimeError(f"a request with a key of {len(credential)} characters failed")
    except RuntimeError:
        structlog.get_logger("ours").exception("it failed")
    assert "RuntimeError" in stream.getvalue()
    assert credential not in stream.getvalue()
