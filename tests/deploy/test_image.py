"""The Dockerfile: linted, and what a linter does not know."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

from tests.deploy.manifests import ROOT

DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text()
LAST = TEXT[TEXT.rindex("\nFROM ") :]
HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"


def lint(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HADOLINT), "--no-color", str(file)], capture_output=True, text=True, timeout=60)


def let_through() -> set[str]:
    return {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}


def test_hadolint_finds_nothing() -> None:
    done = lint(DOCKERFILE)
    assert done.returncode == 0, done.stdout


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    broken = tmp_path / "Dockerfile"
    broken.write_text("FROM python:latest\nRUN cd /tmp && pip install x\n")
    assert lint(broken).returncode != 0


def test_every_base_is_pinned_by_digest() -> None:
    bases = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"[a-z./-]+:[\w.-]+@sha256:[0-9a-f]{64}", base) for base in bases)


def test_it_runs_as_nobody_in_particular() -> None:
    users = re.findall(r"^USER (\S+)", LAST, re.MULTILINE)
    assert users
    assert all(int(part) > 0 for part in users[-1].split(":"))


def test_the_last_stage_compiles_nothing_and_installs_nothing_more() -> None:
    assert not re.search(r"\b(gcc|g\+\+|make|build-essential|cargo|rustc)\b", LAST)
    assert "pip install" not in LAST
    assert "pip uninstall" in LAST


def test_what_is_installed_is_locked_and_wheels_alone() -> None:
    for line in re.findall(r"pip install .*-r .*", TEXT):
        assert "--require-hashes" in line
        assert "--only-binary :all:" in line


def test_labels_say_what_it_is_and_where_its_parts_are_listed() -> None:
    labels = dict(re.findall(r'([a-z.]+)="([^"]*)"', LAST[LAST.index("LABEL") : LAST.index("RUN")]))
    assert {"org.opencontainers.image.version", "org.opencontainers.image.revision"} <= labels.keys()
    assert labels["io.tidegate.sbom"] in TEXT[: TEXT.rindex("\nFROM ")]


def test_what_is_copied_is_let_through() -> None:
    copied = {source.rstrip("/") for source in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)}
    named = {name.removesuffix("/.") for line in copied for name in line.split()}
    assert {name.rstrip("/") for name in named if name != "./"} == let_through()
    assert all((ROOT / name).exists() for name in let_through())


def test_the_wheel_of_the_image_has_its_processes_and_no_embedded_world(tmp_path: Path) -> None:
    for name in (*let_through(), "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "out", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    [wheel] = (tmp_path / "out").glob("*.whl")
    rooms = {name.partition("/")[0] for name in ZipFile(wheel).namelist()}
    assert {room for room in rooms if not room.endswith(".dist-info")} == {
        "activities",
        "tidegate",
        "workers",
        "workflows",
    }


def test_what_is_listed_is_what_is_left() -> None:
    build = TEXT[: TEXT.rindex("\nFROM ")]
    listed = build.index("cyclonedx-py environment")
    assert build.index("pip uninstall") < listed
    assert build.index("rm /opt/tidegate/bin/tidegate-sandbox") < listed
