"""Temporal's time-skipping server, as tests and benchmarks start it."""

from __future__ import annotations

import shutil
import sysconfig

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner

from tidegate.client import KeySource, data_converter
from workers.activations import OneByOneRunner

# The server lacks a capability that the SDK warns of for each worker.
_QUIET = Runtime(
    telemetry=TelemetryConfig(logging=LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR")))
)


async def time_skipping(keys: KeySource | None = None) -> WorkflowEnvironment:
    """A server from the wheel, with the data converter of the workers; with `keys`, its codec is on."""
    server = shutil.which("temporal-test-server", path=sysconfig.get_path("scripts"))
    return await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=data_converter(keys), runtime=_QUIET
    )


def release_runner() -> WorkflowRunner:
    """One without the workers' isolation, whose imports would take most of the time.

    What that would refuse is found where recorded turns are replayed, and in the embedded world.
    """
    return OneByOneRunner(UnsandboxedWorkflowRunner())
