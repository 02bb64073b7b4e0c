"""The real server, asking runs to continue as new after few events: the one that skips time takes 4,096 for that."""

from __future__ import annotations

import asyncio
import shutil
import sysconfig
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from tidegate.client import data_converter


async def short_histories(events: int) -> WorkflowEnvironment:
    """A server that suggests to continue as new after so many events."""
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=shutil.which("temporal", path=sysconfig.get_path("scripts")),
        dev_server_log_level="error",
        dev_server_extra_args=["--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={events}"],
        data_converter=data_converter(),
    )


async def until_continued(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until the part of a run that the handle names has continued as new."""
    for _ in range(3000):
        if (await handle.describe()).status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the run never continued as new")
