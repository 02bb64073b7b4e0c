"""The release of Tidegate itself: its steps run with stand-ins for registries; what is published is what was signed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import DEPLOY, ROOT

FILE = ROOT / ".github" / "workflows" / "release.yml"
JOBS: dict[str, Any] = yaml.safe_load(FILE.read_text())["jobs"]
VERSION = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[0]
DIGEST = "sha256:" + "ab" * 32
# Each notes its arguments; helm names the digest as it does after a push, on its standard error.
NOTED = '#!/bin/bash\necho "$(basename "$0") $*" >>"$HOME/calls"\n'
STAND_INS = {
    "cosign": NOTED,
    "gh": NOTED,
    "helm": f"{NOTED}[ \"$1\" != push ] || echo 'Digest: {DIGEST}' >&2\n",
    "make": f"{NOTED}mkdir dist; echo a >dist/tidegate-{VERSION}-py3-none-any.whl; echo b >dist/tidegate.lock\n",
}


class Job:
    """Steps of one job in a folder that has the package's version and the chart."""

    def __init__(self, folder: Path, name: str, ref: str) -> None:
        self.folder, self.steps = folder, {step["name"]: step for step in JOBS[name]["steps"] if "run" in step}
        (folder / "bin").mkdir()
        for program, text in STAND_INS.items():
            (folder / "bin" / program).write_text(text)
            (folder / "bin" / program).chmod(0o755)
        shutil.copy(ROOT / "pyproject.toml", folder)
        shutil.copytree(DEPLOY / "helm", folder / "deploy" / "helm")
        self.env = {
            **JOBS[name].get("env", {}),
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder),
            "RUNNER_TEMP": str(folder),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_REF_NAME": ref,
            "DIGEST": DIGEST,
        }

    def take(self, name: str) -> subprocess.CompletedProcess[str]:
        """One step, as a runner takes it."""
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self.steps[name]["run"]]
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60)

    def calls(self) -> list[str]:
        """What the stand-ins noted."""
        return (self.folder / "calls").read_text().splitlines()


def test_wheel_and_lock_are_hashed_signed_and_attached(tmp_path: Path) -> None:
    job = Job(tmp_path, "wheel", f"v{VERSION}")
    for name in job.steps:
        done = job.take(name)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
    files = [f"dist/tidegate-{VERSION}-py3-none-any.whl", "dist/tidegate.lock", "dist/SHA256SUMS"]
    signed = [f"cosign sign-blob --yes --bundle {file}.bundle {file}" for file in files]
    assert job.calls()[:-1] == ["make client-lock", *signed]
    attached = job.calls()[-1].split()
    assert attached[:4] == ["gh", "release", "create", f"v{VERSION}"]
    assert {*files} < {*attached}
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "dist", capture_output=True, text=True)
    assert checked.stdout.count(": OK") == 2


def test_the_chart_names_the_image_by_its_digest_and_is_signed_by_its_own(tmp_path: Path) -> None:
    job = Job(tmp_path, "chart", f"v{VERSION}")
    done = job.take("Package, push and sign the chart")
    assert done.returncode == 0, done.stderr
    values = yaml.safe_load((tmp_path / "deploy" / "helm" / "tidegate" / "values.yaml").read_text())
    assert values["image"]["digest"] == DIGEST
    chart = "registry.internal/platform/charts"
    assert job.calls() == [
        f"helm package deploy/helm/tidegate --version {VERSION} --app-version {VERSION} --destination {tmp_path}",
        f"helm push {tmp_path}/tidegate-{VERSION}.tgz oci://{chart}",
        f"cosign sign --yes {chart}/tidegate@{DIGEST}",
    ]
    assert (tmp_path / "output").read_text() == f"digest={DIGEST}\n"


def test_a_chart_without_a_digest_is_not_signed(tmp_path: Path) -> None:
    job = Job(tmp_path, "chart", f"v{VERSION}")
    (tmp_path / "bin" / "helm").write_text(NOTED)
    done = job.take("Package, push and sign the chart")
    assert (done.returncode, "helm named no digest" in done.stdout) == (1, True)
    assert not any(call.startswith("cosign") for call in job.calls())


@pytest.mark.parametrize(("job", "step"), [("image", "Build and push"), ("wheel", "Build the wheel and its lock")])
def test_a_tag_of_another_version_is_refused(tmp_path: Path, job: str, step: str) -> None:
    done = Job(tmp_path, job, "v99.0.0").take(step)
    assert (done.returncode, "has another version" in done.stdout) == (1, True)


@pytest.mark.parametrize("job", ["image", "wheel", "chart"])
def test_what_is_published_is_attested_by_a_job_that_may(job: str) -> None:
    used = [step.get("uses", "") for step in JOBS[job]["steps"]]
    assert any(each.startswith("actions/attest-build-provenance@") for each in used)
    assert JOBS[job]["permissions"].items() >= {"id-token": "write", "attestations": "write"}.items()
