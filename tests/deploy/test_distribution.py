"""What each installation can run: a client, the image, and a command whose extra is missing."""

from __future__ import annotations

import pytest

from tests.installed import CLIENT, PROJECT, ROOT, RUNTIME, SCRIPTS, run_command, run_with

EXTRAS = {
    "tidegate-worker": "worker",
    "tidegate-watcher": "worker",
    "tidegate-gateway": "worker",
    "tidegate-web": "worker",
    "tidegate-sandbox": "sandbox",
}
EVERY_MODULE = """
import pkgutil
from importlib import import_module
for room in ("tidegate", "workflows", "activities", "workers"):
    for module in pkgutil.walk_packages(import_module(room).__path__, f"{room}."):
        import_module(module.name)
        print(module.name)
"""


def test_a_client_reads_manifests_and_conditions() -> None:
    done = run_command(CLIENT, "tidegate", "lint", "-f", str(ROOT / "examples" / "checkout" / "corrected"))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_has_all_that_its_processes_import() -> None:
    done = run_with(RUNTIME, EVERY_MODULE)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"workers.worker", "activities.metrics.datadog.client", "workflows.rollout"} <= set(done.stdout.split())


@pytest.mark.parametrize(("command", "extra"), EXTRAS.items())
def test_a_command_without_its_extra_says_which_one_to_install(command: str, extra: str) -> None:
    done = run_command(CLIENT, command)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith(f"error: {command}: the module ")
    assert done.stderr.endswith(f"remedy: pip install 'tidegate[{extra}]'\n")
    assert extra in PROJECT["optional-dependencies"]


def test_the_embedded_world_needs_more_than_a_worker() -> None:
    done = run_command(RUNTIME, "tidegate-sandbox")
    assert done.returncode == 64
    assert "tidegate[sandbox]" in done.stderr


def test_each_command_is_tried_here() -> None:
    assert SCRIPTS.keys() == {"tidegate", "kubectl-tidegate", *EXTRAS}
