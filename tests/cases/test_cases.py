"""Every parity case of the families that Tidegate knows, and the command that counts them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cases.family import Family
from tests.cases.runner import Case, case_files, known_families, run_case

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases"
SOME = ROOT / "tests" / "data" / "cases"  # so that a clone by itself has a few
QUIRKS = ROOT / "docs" / "quirks.md"
ABSENT = f"the parity cases are not at {CASES}"


def all_cases() -> list[Any]:
    families = known_families()
    found = {
        f"{name}:{case.id}": (families[name], case)
        for folder in (SOME, CASES)
        for name, cases in (case_files(folder) if folder.is_dir() else ())
        if name in families
        for case in cases
    }
    skipped = [] if CASES.is_dir() else [pytest.param(None, None, id="more", marks=pytest.mark.skip(reason=ABSENT))]
    return [*(pytest.param(*each, id=name) for name, each in found.items()), *skipped]


@pytest.mark.parametrize(("family", "case"), all_cases())
def test_case(family: Family, case: Case) -> None:
    outcome = run_case(family, case)
    if outcome.difference and outcome.quirk:
        assert outcome.quirk in QUIRKS.read_text(), f"{QUIRKS} does not list what is not followed"
        pytest.skip(f"left out on purpose: {outcome.quirk}")
    assert not outcome.difference


def command(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.cases", str(folder), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_counts_and_says_what_differs(tmp_path: Path) -> None:
    cases = [
        {"id": "good", "input": {"run": {"spec": {}, "status": {"phase": "Failed"}}}, "expected": {"expired": False}},
        {"id": "bad", "input": {"run": {"spec": {}, "status": {"phase": "Failed"}}}, "expected": {"expired": True}},
        {"id": "ugly", "input": {}, "expected": {}},
    ]
    (tmp_path / "ttl.yaml").write_text(yaml.safe_dump({"family": "ttl", "cases": cases}))
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({"family": "new", "cases": cases[:1]}))
    (tmp_path / "notes.yaml").write_text("- no cases")
    shown = command(tmp_path)
    assert shown.returncode == 1
    assert "1 not run" in shown.stdout
    assert "bad: expired: expected True, got False" in shown.stdout
    report = command(tmp_path, "-o", "json", "--family", "ttl")
    [entry] = json.loads(report.stdout)
    assert (entry["family"], entry["total"], entry["passed"]) == ("ttl", 3, 1)
    assert [each["id"] for each in entry["failed"]] == ["bad", "ugly"]
    assert "KeyError" in entry["failed"][1]["difference"]


def test_a_family_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert command(tmp_path, "--family", "nothing").returncode == 2
