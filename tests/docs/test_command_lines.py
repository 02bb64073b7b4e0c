"""Each command of Tidegate in the pages is one that there is, with options that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, commands

HELP = ROOT / "tests" / "data" / "help"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "deploy" / "README.md"]


def own_commands(text: str) -> Iterator[list[str]]:
    """The words of each command of ours in a block of shell, after `tidegate`."""
    for language, block in blocks(text):
        for command in commands(block) if language == "sh" else ():
            if command[0] == "tidegate":
                yield command[1:]


def mistakes(words: list[str]) -> list[str]:
    """Words that the help of the command does not know."""
    for length in (2, 1):
        file = HELP / f"{'-'.join(['tidegate', *words[:length]])}.txt"
        if len(words) >= length and file.is_file():
            known = set(re.findall(r"(?<![\w-])--?[\w-]+", file.read_text()))
            given = (word.partition("=")[0] for word in words[length:] if re.match(r"--?[a-zA-Z]", word))
            return [word for word in given if word not in known]
    return words[:1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_there(page: Path) -> None:
    assert [(words, wrong) for words in own_commands(page.read_text()) if (wrong := mistakes(words))] == []


def test_a_mistake_is_found() -> None:
    text = "```sh\ntidegate get rollout x --wach | cat\nkubectl get x -o yaml | tidegate lint -f -\ntidegate nope\n```"
    assert [mistakes(words) for words in own_commands(text)] == [["--wach"], [], ["nope"]]
