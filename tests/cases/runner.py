"""Finds families and case files, runs one against the other, and says what differs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.cases import families
from tests.cases.family import Answer, Family


@dataclass(frozen=True)
class Case:
    id: str
    input: dict[str, Any]
    expected: Answer


@dataclass(frozen=True)
class Outcome:
    """What a case came to; `difference` is empty when it passed, `quirk` says why a difference is wanted."""

    case: Case
    difference: str = ""
    quirk: str = ""


@cache
def known_families() -> dict[str, Family]:
    """All families, from every module of `tests.cases.families`."""
    modules = [
        importlib.import_module(f"{families.__name__}.{found.name}")
        for found in pkgutil.iter_modules(families.__path__)
    ]
    return {family.name: family for module in modules for family in module.FAMILIES}


def case_files(folder: Path) -> Iterator[tuple[str, list[Case]]]:
    """Family and cases of each file of a folder."""
    for file in sorted(folder.glob("*.yaml")):
        content = yaml.safe_load(file.read_text())
        if isinstance(content, dict) and "family" in content:
            yield content["family"], [Case(case["id"], case["input"], case["expected"]) for case in content["cases"]]


def run_case(family: Family, case: Case) -> Outcome:
    """Run one case; a crash is a difference too."""
    try:
        actual = family.run(case.input)
    except Exception as error:
        actual = {"crash": f"{type(error).__name__}: {error}"}
    if family.same(case.expected, actual):
        return Outcome(case)
    return Outcome(case, "; ".join(_differences(case.expected, actual, "")), family.quirk(case.input))


def _differences(expected: Any, actual: Any, path: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in [*expected, *(key for key in actual if key not in expected)]:
            yield from _differences(expected.get(key), actual.get(key), f"{path}.{key}" if path else str(key))
    elif expected != actual:
        yield f"{path or 'answer'}: expected {expected!r}, got {actual!r}"
