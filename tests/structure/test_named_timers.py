"""Each timer of a workflow says what it is for, where people look at a run."""

from __future__ import annotations

import ast

import pytest

from tests.structure.sources import ROOT, modules

SUMMARY = {"sleep": "summary", "wait_condition": "timeout_summary"}


def unnamed(tree: ast.AST) -> list[int]:
    """Lines of calls of the SDK that start a timer without a summary."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    found = []
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        owner, names = call.func.value, {keyword.arg for keyword in call.keywords}
        if not (isinstance(owner, ast.Name) and owner.id == "workflow" and call.func.attr in SUMMARY):
            continue
        starts_timer = call.func.attr == "sleep" or "timeout" in names
        if starts_timer and SUMMARY[call.func.attr] not in names:
            found.append(call.lineno)
    return found


@pytest.mark.parametrize("module", modules("workflows"), ids=lambda file: file.name)
def test_each_timer_has_a_summary(module: object) -> None:
    source = (ROOT / str(module)).read_text()
    assert unnamed(ast.parse(source)) == []


def test_a_timer_without_a_summary_is_found() -> None:
    assert unnamed(ast.parse("workflow.sleep(3)\nworkflow.wait_condition(f, timeout=3)")) == [1, 2]
