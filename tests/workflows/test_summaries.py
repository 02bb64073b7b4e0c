"""Whatever a workflow waits for has a text of its own in the Temporal UI, where it would be a number otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "workflows").glob("*.py"))
# What it is given, and the argument that is shown. A wait without a limit is no event.
SHOWN = {
    "sleep": "summary",
    "wait_condition": "timeout_summary",
    "execute_activity": "summary",
    "start_activity": "summary",
    "execute_child_workflow": "static_summary",
    "start_child_workflow": "static_summary",
}


def silent(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, given = node.func.attr, {keyword.arg for keyword in node.keywords}
        if not isinstance(node.func.value, ast.Name) or node.func.value.id != "workflow" or name not in SHOWN:
            continue
        if name == "wait_condition" and "timeout" not in given:
            continue
        if SHOWN[name] not in given:
            yield f"{file.name}:{node.lineno}: {name} without {SHOWN[name]}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_waited_for_has_a_summary(file: Path) -> None:
    assert list(silent(file)) == []
