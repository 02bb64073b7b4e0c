"""Runs Python as in an environment that has the packages of one lock and no others."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SCRIPTS: dict[str, str] = PROJECT["scripts"]
CLIENT, RUNTIME = "requirements.client.lock", "requirements.runtime.lock"
# A package that is not there, as the import system tells it.
_WITHOUT = """
import sys
class Without:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without)
"""


def locked(lock: str) -> set[str]:
    """The names of the packages of a lock."""
    return {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.MULTILINE)}


@cache
def _missing(lock: str) -> list[str]:
    """The modules of installed packages that the lock does not have."""
    there = locked(lock)
    by_module = metadata.packages_distributions().items()
    missing = {module for module, names in by_module if not there & set(map(canonicalize_name, names))}
    # Tidegate itself may be installed as a link to this folder or as a wheel.
    missing -= {"activities", "sandbox", "tidegate", "workers", "workflows"}
    assert {"pytest", "mypy"} <= missing
    return sorted(missing)


def run_with(lock: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with `sys.argv[1:]` as `arguments`, where every package is missing that the lock does not have."""
    command = [sys.executable, "-c", _WITHOUT.format(missing=_missing(lock)) + code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def run_command(lock: str, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of `[project.scripts]` in the same way."""
    module, _, function = SCRIPTS[command].partition(":")
    code = f"from {module} import {function} as main\nsys.argv[0] = {command!r}\nmain()\n"
    return run_with(lock, code, *arguments)
