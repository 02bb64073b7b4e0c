"""deploy/temporal/: the namespace on a real server, the values, and who may say what."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from sandbox.processes import LOOPBACK, Program, free_port
from tests.deploy.manifests import DEPLOY
from tidegate.contract import SEARCH_ATTRIBUTES

BIN = Path(sysconfig.get_path("scripts"))
TEMPORAL = DEPLOY / "temporal"


class Bare:
    """A development server as it comes: no namespace and no attribute of ours."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.address = f"{LOOPBACK}:{port}"
        self.folder = folder
        command = [str(BIN / "temporal"), "server", "start-dev", "--headless", "--ip", LOOPBACK, "--port", str(port)]
        self.program = Program("temporal", command, log_file=folder / "temporal.log", env={"HOME": str(folder)})

    async def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "TEMPORAL_ADDRESS": self.address,
        }
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, env=env)

    async def answers(self) -> bool:
        return (await self.run("temporal", "operator", "cluster", "health")).returncode == 0

    async def attributes(self) -> dict[str, str]:
        listed = await self.run("temporal", "operator", "search-attribute", "list", "-n", "rollouts", "-o", "json")
        return dict(json.loads(listed.stdout)["customAttributes"])


@pytest_asyncio.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Bare]:
    server = Bare(tmp_path)
    await server.program.start(server.answers, timeout=30)
    yield server
    await server.program.stop()


async def test_the_namespace_has_its_retention_and_attributes_and_stays_so(bare: Bare) -> None:
    for _ in range(2):
        done = await bare.run("sh", str(TEMPORAL / "namespace.sh"))
        assert done.returncode == 0, done.stdout + done.stderr
        described = await bare.run("temporal", "operator", "namespace", "describe", "-n", "rollouts", "-o", "json")
        retention = json.loads(described.stdout)["config"]["workflowExecutionRetentionTtl"]
        assert retention in ("2592000s", "720h0m0s")
        found = await bare.attributes()
        assert {name.name: found[name.name] for name in SEARCH_ATTRIBUTES} == {
            "TidegateNamespace": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegateService": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegatePhase": "INDEXED_VALUE_TYPE_KEYWORD",
            "TidegateWeight": "INDEXED_VALUE_TYPE_INT",
            "TidegateRevision": "INDEXED_VALUE_TYPE_INT",
        }
