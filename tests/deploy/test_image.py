"""The Dockerfile: linted, and what a linter does not know."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

from tests.deploy.manifests import ROOT

DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text()
LAST = TEXT[TEXT.rindex("\nFROM ") :]
HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"


def lint(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HADOLINT), "--no-color", str(file)], capture_output=True, text=True, timeout=60)


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
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source.rstrip("/") for source in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)}
    named = {name.removesuffix("/.") for line in copied for name in line.split()}
    assert {name.rstrip("/") for name in named if name != "./"} == let_through
    assert all((ROOT / name).exists() for name in let_through)


def test_the_lock_of_the_image_is_part_of_the_lock_of_all() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9._-]+==[^ ;\\]+)", (ROOT / name).read_text(), re.MULTILINE))

    runtime = pins("requirements.runtime.lock")
    assert runtime <= pins("requirements.lock")
    assert "temporalio" in {pin.partition("==")[0] for pin in runtime}
    assert "pytest" not in {pin.partition("==")[0] for pin in runtime}


def test_what_is_listed_is_what_is_left() -> None:
    build = TEXT[: TEXT.rindex("\nFROM ")]
    listed = build.index("cyclonedx-py environment")
    assert build.index("pip uninstall") < listed
    assert build.index("site-packages/sandbox /opt/tidegate/bin/tidegate-sandbox") < listed
