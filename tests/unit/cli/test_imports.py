"""What each command may import: people wait for it, and scripts run it often. `benchmarks/start.py` has the seconds."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MANIFESTS = str(ROOT / "examples" / "checkout")
CODE = """
import os, sys
from tidegate.cli.app import run
run(sys.argv[1:])
sys.stdout.flush()
os.write(2, ("\\n" + " ".join(sys.modules)).encode())
os._exit(0)
"""
SDK = {"temporalio", "google", "nexusrpc", "structlog", "cryptography"}
PARSERS = {"lark", "tidegate.manifests.documents", "tidegate.analysis.expressions", "tidegate.analysis.conditions"}
NEVER = {
    "aiohttp",
    "httpx",
    "kubernetes",
    "matplotlib",
    "numpy",
    "opentelemetry",
    "requests",
    "activities",
    "workflows",
}
# What a release is judged by is the business of workers.
JUDGES = {"tidegate.analysis.compare.judge", "tidegate.analysis.rules", "tidegate.client.backtest_inputs"}
REPORT = {"tidegate.report"}
NO_SERVER = {
    ("version",): {*SDK, *PARSERS, *NEVER, "yaml", "tidegate.contract", "tidegate.client.client"},
    ("completion", "bash"): {*SDK, *PARSERS, *NEVER, "yaml", "rich", "tidegate.contract", "tidegate.client"},
    ("schema", "release"): {*PARSERS, *NEVER, *JUDGES, "yaml", "temporalio.client", "tidegate.client.client"},
    ("lint", "-f", MANIFESTS): {*SDK, *NEVER, "tidegate.analysis.compare.judge", "tidegate.contract"},
}
CONNECTING = {
    ("get", "rollout", "checkout"): {*NEVER, *PARSERS},
    ("list", "-l", "app=checkout"): {*NEVER, *PARSERS},
    ("explain", "checkout"): {*NEVER, *PARSERS},
    ("abort", "checkout"): {*NEVER, *PARSERS, *JUDGES, *REPORT},
    ("restart", "checkout"): {*NEVER, *PARSERS, *JUDGES, *REPORT},
}


@cache
def imported(arguments: tuple[str, ...]) -> frozenset[str]:
    """Modules that a process has after a command, where nobody listens at Temporal's address."""
    nowhere = {"TEMPORAL_ADDRESS": "127.0.0.1:1", "KUBECONFIG": "/none", "TIDEGATE_NAMESPACE": "payments"}
    argv = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=os.environ | nowhere, check=True)
    return frozenset(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", NO_SERVER, ids=lambda arguments: arguments[0])
def test_a_command_without_a_server_imports_nothing_of_it(arguments: tuple[str, ...]) -> None:
    assert imported(arguments) & NO_SERVER[arguments] == set()


@pytest.mark.parametrize("arguments", CONNECTING, ids=lambda arguments: arguments[0])
def test_a_command_that_connects_imports_no_more_than_it_needs(arguments: tuple[str, ...]) -> None:
    assert imported(arguments) & CONNECTING[arguments] == set()
    assert "temporalio.client" in imported(arguments)


@pytest.mark.parametrize("package", ["tidegate.client", "tidegate.contract", "tidegate.watch"])
def test_each_name_of_a_deferred_package_can_be_imported_and_is_no_module_of_it(package: str) -> None:
    found = importlib.import_module(package)
    submodules = {each.name for each in pkgutil.iter_modules(found.__path__)}
    for name in found.__all__:
        assert getattr(found, name) is not None
        assert name not in submodules, "an import of the module would hide the name"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = found.nothing
