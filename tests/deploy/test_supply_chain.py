"""What Tidegate is made of: locked by hash, listed, under licences that a bank takes; and the threat model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.manifests import DEPLOY, ROOT

BIN = Path(sysconfig.get_path("scripts"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# A lock, and the extras that it has beside what a client needs.
CLIENT, RUNTIME = "requirements.client.lock", "requirements.runtime.lock"
INSTALLED = {CLIENT: (), RUNTIME: ("worker", "otel"), "requirements.lock": ("worker", "otel", "sandbox", "dev")}
LOCKS = (*INSTALLED, "requirements.build.lock", "requirements.docs.lock")
# By the words of a licence expression or of a classifier; anything else is for a person to look at.
TAKEN = re.compile(
    r"apache|\bmit\b|\bbsd|\bisc\b|\bpsf\b|python software foundation|mozilla public license 2|mpl-2\.0|unlicense|"
    r"zpl|0bsd|hpnd|cc0|zlib|blueoak",
    re.IGNORECASE,
)
NOT_TAKEN = re.compile(r"\b(a?gpl|sspl|busl|proprietary|commons clause)", re.IGNORECASE)


def entries(lock: str) -> dict[str, str]:
    """The text of each entry of a lock, by package."""
    parts = re.split(r"^(?=[a-zA-Z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return {canonicalize_name(re.split(r"==| @ ", part)[0]): part for part in parts if "==" in part}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_its_hashes(lock: str) -> None:
    found = entries(lock)
    assert len(found) > 20
    assert [name for name, text in found.items() if "--hash=sha256:" not in text] == []


@pytest.mark.parametrize("lock", INSTALLED)
def test_a_lock_holds_what_the_project_asks_for(lock: str) -> None:
    found = entries(lock)
    asked = [*PROJECT["dependencies"], *(each for extra in INSTALLED[lock] for each in EXTRAS[extra])]
    for requirement in map(Requirement, asked):
        if requirement.name == PROJECT["name"]:
            assert requirement.extras <= set(INSTALLED[lock])
            continue
        version = re.match(r"[^=]+==([^ ;\\\n]+)", found[canonicalize_name(requirement.name)])
        assert version is not None
        assert requirement.specifier.contains(version[1]), f"{lock}: {requirement}: run make lock"


@pytest.mark.parametrize(("lock", "extras"), [(CLIENT, ("worker", "sandbox")), (RUNTIME, ("sandbox",))])
def test_a_lock_holds_nothing_that_only_other_extras_ask_for(lock: str, extras: tuple[str, ...]) -> None:
    names = {canonicalize_name(Requirement(each).name) for extra in extras for each in EXTRAS[extra]}
    found = entries(lock).keys()
    assert found & names == set()
    assert "temporalio" in found
    assert "pytest" not in found


def test_each_lock_is_part_of_the_larger_one_with_the_same_hashes() -> None:
    def pins(lock: str) -> set[str]:
        return {
            f"{name} {pin}"
            for name, text in entries(lock).items()
            for pin in re.findall(r"==[^ ;\\\n]+|sha256:\w+", text)
        }

    client, runtime, everything = map(pins, INSTALLED)
    assert client < runtime < everything


def licence(name: str) -> str:
    found = metadata.metadata(name)
    classifiers = [line for line in found.get_all("Classifier") or [] if line.startswith("License ::")]
    return " ".join(filter(None, (found.get("License-Expression"), (found.get("License") or "")[:200], *classifiers)))


def installed() -> list[str]:
    """What the image holds and this platform has."""
    here = {canonicalize_name(each.metadata["Name"]) for each in metadata.distributions()}
    return sorted(entries(RUNTIME).keys() & here)


@pytest.mark.parametrize("name", installed())
def test_a_dependency_of_the_image_has_a_licence_that_is_taken(name: str) -> None:
    text = licence(name)
    assert TAKEN.search(text), f"{name}: {text!r}"
    assert not NOT_TAKEN.search(text), f"{name}: {text!r}"


@pytest.mark.long
def test_the_parts_list_is_made_and_is_valid(tmp_path: Path) -> None:
    out = tmp_path / "sbom.json"
    command = [str(BIN / "cyclonedx-py"), "environment", "--validate", "--of", "JSON", "-o", str(out), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    parts = {canonicalize_name(part["name"]) for part in json.loads(out.read_text())["components"]}
    assert set(installed()) <= parts


SECURITY = (ROOT / "SECURITY.md").read_text()


def test_the_threat_model_covers_every_account_and_names_what_holds_it() -> None:
    rows = [row.split(" | ") for row in SECURITY.splitlines() if row.startswith("| `")]
    policies = {file.stem.removesuffix("-temporal") for file in (DEPLOY / "vault" / "policies").glob("*.hcl")}
    subjects = {row[0].removeprefix("| ").strip("`") for row in rows}
    assert policies | {"tidegate-workflows", "tidegate-cluster"} <= subjects
    named = set(re.findall(r"`(tests/[\w/]+\.py|deploy/[\w./-]+)`", SECURITY))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_each_file_that_is_deployed_is_in_the_table_with_its_check() -> None:
    page = (DEPLOY / "README.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("| `")]
    patterns = [pattern for row in rows for pattern in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    listed = {file for pattern in patterns for file in ROOT.glob(pattern)}
    deployed = {file for file in DEPLOY.rglob("*") if file.is_file() and ".secrets" not in file.parts}
    deployed |= {ROOT / "Dockerfile", ROOT / "docker-compose.yml"}
    deployed -= {DEPLOY / "README.md"} | {file for file in deployed if ".terraform" in str(file)}
    assert sorted(map(str, deployed - listed)) == []
    assert [pattern for pattern in patterns if not list(ROOT.glob(pattern))] == []
    for row in rows:
        for test in re.findall(r"`(test_\w+\.py)`", row):
            assert list((ROOT / "tests").rglob(test)), test
