"""docs/quirks.md names for every difference what shows it: a case that is left out, or a test that there is."""

from __future__ import annotations

import re

import pytest

from tests.cases.runner import case_files, known_families, run_case
from tests.cases.test_cases import QUIRKS, ROOT, SOME

ROWS = [line for line in QUIRKS.read_text().splitlines() if line.startswith("| ") and not line.startswith("| Argo |")]
NAMED = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row.split(" | ")[-1])}
IDS = {name for name in NAMED if not name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS)
def test_a_difference_is_explained_and_shown(row: str) -> None:
    argo, tidegate, why, shown = row.removeprefix("| ").removesuffix(" |").split(" | ")
    assert argo.strip()
    assert tidegate.strip()
    assert why.strip()
    assert re.fullmatch(r"`[\w-]+`(, `[\w-]+`)*", shown)


def test_the_tests_that_are_named_exist() -> None:
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text())
    }
    assert defined >= NAMED - IDS


def test_the_cases_that_are_named_are_those_that_are_left_out() -> None:
    families = known_families()
    outcomes = [run_case(families[name], case) for name, cases in case_files(SOME) for case in cases]
    assert {outcome.case.id for outcome in outcomes if outcome.difference and outcome.quirk} == IDS
