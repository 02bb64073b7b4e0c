"""Commands and Python names that the documents give to readers can be typed as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tidegate.client
from tests.docs.pages import ROOT, blocks
from tidegate.cli.commands import COMMANDS

DOCUMENTS = sorted({*(ROOT / "docs").glob("*.md"), ROOT / "README.md"})
COMMAND = re.compile(r"^(?:kubectl )?tidegate ([a-z]+)", re.MULTILINE)
INLINE = re.compile(r"`tidegate ([a-z]+)")
NAME = re.compile(r"`(\w+)`\s+is\s+in\s+`tidegate\.client`")


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_each_command_of_a_document_is_one(page: Path) -> None:
    text = page.read_text()
    written = {found for language, block in blocks(text) if language == "sh" for found in COMMAND.findall(block)} | set(
        INLINE.findall(text)
    )
    assert written - COMMANDS.keys() == set()


def test_each_name_of_the_client_is_there() -> None:
    written = {found for page in DOCUMENTS for found in NAME.findall(page.read_text())}
    assert written
    assert written - set(tidegate.client.__all__) == set()


def test_the_front_page_says_where_the_commands_are_before_the_first_one() -> None:
    before, _, after = (ROOT / "README.md").read_text().partition("## Use it")[2].partition("```sh")
    assert after
    assert ".venv/bin" in before
    assert "TEMPORAL_ADDRESS" in before
