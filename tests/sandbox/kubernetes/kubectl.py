"""The real kubectl against one embedded API."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import yaml

from sandbox.machine import patience

KUBECTL = Path(sys.executable).with_name("kubectl")


async def run(*command: str, **environment: str) -> tuple[int, str]:
    """The exit status and output of a program."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), patience(60))
    return process.returncode or 0, output.decode()


class Kubectl:
    """kubectl against one server, with a home of its own."""

    def __init__(self, url: str, home: Path) -> None:
        self._home = home
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "default"}}],
            "users": [{"name": "u", "user": {"token": "any"}}],
            "current-context": "c",
        }
        (home / "config").write_text(yaml.safe_dump(config))

    def file(self, obj: dict[str, object]) -> str:
        path = self._home / f"{obj['kind']}.yaml"
        path.write_text(yaml.safe_dump(obj))
        return str(path)

    async def __call__(self, *words: str) -> str:
        code, output = await run(str(KUBECTL), *words, KUBECONFIG=str(self._home / "config"), HOME=str(self._home))
        assert code == 0, output
        return output
