"""The form of the product: short functions, short modules, few arrows between packages, names with one meaning."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.structure.sources import ROOT, modules

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50
MEAN_FUNCTION_LINES = 10
MAX_ARROWS = 20
MAX_SHARED_NAMES = 5
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def trees() -> dict[Path, ast.Module]:
    return {file.relative_to(ROOT): ast.parse(file.read_text()) for file in modules()}


def functions() -> Iterator[tuple[str, int]]:
    """Each function and how many lines it has, from `def` to its end."""
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, Function) and node.end_lineno is not None:
                yield f"{file}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def arrows() -> set[tuple[str, str]]:
    """Which package of `activities` imports which other."""
    found = set()
    for file, tree in trees().items():
        if file.parts[0] != "activities" or len(file.parts) < 3:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("activities."):
                found.add((file.parts[1], str(node.module).split(".")[1]))
    return {(one, other) for one, other in found if one != other}


def shared_names() -> dict[str, list[str]]:
    """Public classes of the product, without the embedded world, that have a name in common."""
    found: dict[str, list[str]] = {}
    for file, tree in trees().items():
        if file.parts[0] != "sandbox":
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found.setdefault(node.name, []).append(str(file))
    return {name: files for name, files in found.items() if len(files) > 1}


def test_no_module_is_long() -> None:
    lengths = {file: len((ROOT / file).read_text().splitlines()) for file in trees()}
    assert {file: lines for file, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}


def test_no_function_is_long() -> None:
    lengths = dict(functions())
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}
    assert statistics.mean(lengths.values()) < MEAN_FUNCTION_LINES


def test_the_packages_of_activities_have_few_arrows() -> None:
    assert len(arrows()) < MAX_ARROWS, Counter(one for one, _ in arrows())


def test_few_classes_share_a_name() -> None:
    assert len(shared_names()) < MAX_SHARED_NAMES, shared_names()
