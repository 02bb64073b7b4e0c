"""What of Temporal's SDK is used that is not its public interface: it may go with any version, and has to be noticed.

`docs/operations.md` lists the same, with the reasons. The product is imported by the tests that need it: without one of
the names that may not be possible, and then a test has to say which it is.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.converter import DataConverter
from temporalio.worker import WorkflowInstance, WorkflowRunner

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
# Where it is used, and what it is.
USED = {
    ("tidegate/client/codec.py", "temporalio.converter", "DataConverter._decode_reference_payload_sequence"),
    ("tidegate/client/codec.py", "temporalio.converter._extstore", "_REFERENCE_MARKER_KEY"),
    ("tidegate/client/codec.py", "temporalio.converter._extstore", "_REFERENCE_ENCODING"),
    ("tidegate/client/codec.py", "temporalio.converter._extstore", "_REFERENCE_MESSAGE_TYPE"),
    ("workers/activations.py", "temporalio.bridge.proto.workflow_activation", "WorkflowActivation"),
    ("workers/activations.py", "temporalio.bridge.proto.workflow_activation", "WorkflowActivationJob"),
    ("workers/activations.py", "temporalio.bridge.proto.workflow_completion", "WorkflowActivationCompletion"),
    ("workers/activations.py", "temporalio.worker._command_aware_visitor", "CommandInfo"),
    ("workers/activations.py", "temporalio.workflow", "_Definition"),
}
ROOMS = ("tidegate", "workflows", "activities", "workers", "sandbox")


def found(module: str, name: str) -> object:
    """What the SDK that is installed has by that name; None where it has nothing."""
    try:
        value: object = importlib.import_module(module)
    except ImportError:
        return None
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


@pytest.mark.parametrize(("file", "module", "name"), sorted(USED))
def test_the_sdk_has_what_is_used_of_its_inside(file: str, module: str, name: str) -> None:
    assert found(module, name) is not None, (
        f"this version of temporalio has no {module}.{name} any more: {file} builds on it. "
        "docs/operations.md, Temporal's SDK, says what for; until that is mended, stay with the version before"
    )


def test_the_page_lists_what_is_used() -> None:
    assert [name for _, _, name in sorted(USED) if f"`{name}`" not in PAGE] == []


def test_references_are_recognised_by_the_words_of_the_sdk() -> None:
    from tidegate.client import codec

    words = {
        "_REFERENCE_MARKER_KEY": codec.REFERENCE_MARKER,
        "_REFERENCE_ENCODING": codec.REFERENCE_ENCODING,
    }
    assert {name: found("temporalio.converter._extstore", name) for name in words} == words
    message = found("temporalio.converter._extstore", "_REFERENCE_MESSAGE_TYPE")
    assert isinstance(message, bytes)
    assert message.endswith(codec.REFERENCE_MESSAGE)


def test_the_converter_answers_for_references_instead_of_the_sdk() -> None:
    from tidegate.client import data_converter

    name = "_decode_reference_payload_sequence"
    assert name in vars(type(data_converter())), "the guard of codec.py overrides it"
    assert name in vars(DataConverter), "and with another name it would override nothing"


def test_the_runner_hands_on_everything_that_the_sdk_asks_of_one() -> None:
    """A method that is new in the SDK and not abstract would be answered by the SDK's own default."""
    from workers.activations import OneByOne, OneByOneRunner

    for ours, theirs in ((OneByOneRunner, WorkflowRunner), (OneByOne, WorkflowInstance)):
        asked = {name for name in vars(theirs) if not name.startswith("_")}
        assert asked - vars(ours).keys() == set(), f"{ours.__name__} does not hand on what {theirs.__name__} has now"


def inside(file: Path) -> Iterator[tuple[str, str, str]]:
    """What a file imports of the SDK's inside."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("temporalio"):
            module = node.module or ""
            for alias in node.names:
                private = any(part.startswith("_") for part in f"{module}.{alias.name}".split("."))
                if private or module.startswith("temporalio.bridge"):
                    yield str(file.relative_to(ROOT)), module, alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(("temporalio.bridge", "temporalio._")):
                    yield str(file.relative_to(ROOT)), alias.name, ""


def test_nothing_else_of_its_inside_is_used() -> None:
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    used = {each for file in files for each in inside(file)}
    assert used - USED == set()
    assert {name for _, _, name in used} >= {"CommandInfo", "_Definition"}
