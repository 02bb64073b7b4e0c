"""The one way in which tests replay a history."""

from __future__ import annotations

from temporalio.worker import Replayer

from tidegate.client import data_converter
from workers.wiring import workflow_runner
from workflows.registered import WORKFLOWS


def replayer() -> Replayer:
    """Replay as a worker runs. A slow machine is no deadlock: only commands are judged here, not their time."""
    return Replayer(
        workflows=WORKFLOWS,
        data_converter=data_converter(),
        workflow_runner=workflow_runner(),
        debug_mode=True,
    )
