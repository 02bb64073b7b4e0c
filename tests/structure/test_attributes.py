"""A workflow is whole once it is made: no attribute is declared in `__init__` and left to a later call."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.structure.sources import modules

# Made of the input, which may be unreadable: nothing asks for them before.
ALLOWED = {("analysis_run.py", "self._jobs"), ("analysis_run.py", "self._comparisons")}


def left_undefined(source: str) -> Iterator[str]:
    """Attributes of `self` that an `__init__` annotates without a value."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            for node in ast.walk(function):
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute) and node.value is None:
                    yield ast.unparse(node.target)


def test_no_attribute_is_left_to_a_later_call() -> None:
    files = modules("workflows")
    found = {(file.name, name) for file in files for name in left_undefined(file.read_text())}
    assert len(files) > 30, "the workflows are somewhere else"
    assert found == ALLOWED


def test_one_that_is_left_is_found() -> None:
    source = "class A:\n    def __init__(self):\n        self.a: int\n        self.b: int = 1\n"
    assert list(left_undefined(source)) == ["self.a"]
