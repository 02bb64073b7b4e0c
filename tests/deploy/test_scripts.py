"""Every shell script that is deployed, or deploys: sound by shellcheck."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.deploy.manifests import ROOT

SHELLCHECK = Path(sysconfig.get_path("scripts")) / "shellcheck"
SCRIPTS = sorted([*(ROOT / "deploy").rglob("*.sh"), ROOT / ".ci" / "run"])


def check(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SHELLCHECK), str(file)], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(ROOT)))
def test_a_script_is_sound_and_can_be_run(script: Path) -> None:
    done = check(script)
    assert done.returncode == 0, done.stdout
    assert script.stat().st_mode & 0o100
    assert "set -eu" in script.read_text()


def test_an_unsound_one_is_found(tmp_path: Path) -> None:
    script = tmp_path / "bad.sh"
    script.write_text("#!/bin/sh\nrm -rf $1/*\n")
    assert check(script).returncode == 1
