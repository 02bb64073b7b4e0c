"""A run that its worker drops without a word is closed in silence: Python asks its coroutines to end, and may not wait.

A worker lets go of a terminated or reset run in some moments without cancelling it. What its coroutines are asked with
then is `GeneratorExit`. One that awaits again is ignored with a warning on another thread, of another workflow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure.sources import modules

WAITS = (ast.Await, ast.AsyncWith, ast.AsyncFor)
OF_ALL = {"BaseException", "GeneratorExit"}


def waits_on_the_way_out(tree: ast.AST) -> Iterator[int]:
    """Lines of a module that wait while a coroutine is being closed."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Try):
            continue
        ways = [*node.finalbody]
        for handler in node.handlers:
            caught = OF_ALL if handler.type is None else {name.id for name in names(handler.type)}
            ways += handler.body if caught & OF_ALL else []
        yield from (inner.lineno for way in ways for inner in ast.walk(way) if isinstance(inner, WAITS))


def names(caught: ast.expr) -> Iterator[ast.Name]:
    return (node for node in ast.walk(caught) if isinstance(node, ast.Name))


@pytest.mark.parametrize("module", modules("workflows"), ids=lambda path: path.name)
def test_nothing_is_awaited_by_a_workflow_that_is_dropped(module: Path) -> None:
    assert list(waits_on_the_way_out(ast.parse(module.read_text()))) == []


@pytest.mark.parametrize(
    "code",
    [
        "async def f():\n try:\n  await a\n finally:\n  await b",
        "async def f():\n try:\n  await a\n except BaseException:\n  async with b:\n   pass",
        "async def f():\n try:\n  await a\n except:\n  await b",
        "async def f():\n try:\n  await a\n except (ValueError, GeneratorExit):\n  await b",
    ],
)
def test_what_waits_there_is_found(code: str) -> None:
    assert len(list(waits_on_the_way_out(ast.parse(code)))) == 1
