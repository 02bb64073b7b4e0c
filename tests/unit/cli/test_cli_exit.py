"""A command ends with its own exit code, whatever Temporal's SDK is still at."""

from __future__ import annotations

import asyncio
import os
import sysconfig
from pathlib import Path

from sandbox.processes import free_port

TIDEGATE = Path(sysconfig.get_path("scripts"), "tidegate")
AT_ONCE = 4  # each by itself would end well more often than not


async def test_a_command_that_reaches_nobody_ends_with_its_code() -> None:
    env = {"PATH": os.environ["PATH"], "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}

    async def ended() -> tuple[int | None, str]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(TIDEGATE, "list", stdout=pipe, stderr=pipe, env=env)
        _, said = await process.communicate()
        return process.returncode, said.decode()

    answers = await asyncio.gather(*(ended() for _ in range(AT_ONCE)))
    assert [code for code, _ in answers] == [8] * AT_ONCE
    assert all("does not answer" in said for _, said in answers), answers
