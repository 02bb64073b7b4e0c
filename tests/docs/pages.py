"""What the documents for contributors name: files, links, tests and laws."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from tests.structure.sources import ROOT, modules

ARCHITECTURE = ROOT / "docs" / "architecture.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PAGES = [ARCHITECTURE, ROOT / "docs" / "glossary.md", *DECISIONS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([\w-]+))?\)")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`")
_TEST = re.compile(r"`(test_\w+)`")


def blocks(text: str) -> list[tuple[str, str]]:
    """Blocks of a page as language and text."""
    return _BLOCK.findall(text)


def commands(block: str) -> Iterator[list[str]]:
    """Words of each command of a block of shell: without comments, pipes, redirections and variables before it."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        command: list[str] = []
        for word in [*words, "|"]:
            if word == "|":
                while command and re.match(r"[A-Z_]+=", command[0]):
                    command.pop(0)
                if command:
                    yield command
                command = []
            elif word != ">":
                command.append(word)


def links(text: str) -> list[tuple[str, str]]:
    """Relative links as file and heading; either may be empty."""
    return _LINK.findall(_CODE.sub("", text))


def paths(text: str) -> list[str]:
    """Files and folders that are named in backticks, in a folder of this repository that a program does not write."""
    named = _PATH.findall(text)
    return [path for path in named if not path.startswith(".tidegate/") and (ROOT / path.split("/")[0]).is_dir()]


def named_tests(text: str) -> list[str]:
    """Tests that are named in backticks."""
    return _TEST.findall(text)


def headings(text: str) -> set[str]:
    """The anchors of a page, as GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def section(text: str, title: str) -> str:
    """What is below a heading of the second level, up to the next one."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def laws(text: str) -> dict[int, str]:
    """The numbered laws of the architecture page."""
    parts = re.split(r"^(\d+)\. ", section(text, "Laws"), flags=re.MULTILINE)[1:]
    return {int(number): law for number, law in zip(parts[::2], parts[1::2], strict=True)}


def starting_files(text: str) -> dict[str, str]:
    """What one may want to change -> the file where that begins."""
    rows = re.findall(r"^\| (.+?) \| `([^`]+)` \|$", section(text, "Where a change begins"), re.MULTILINE)
    return dict(rows)


def prose(text: str) -> str:
    """The text without code, names and paths."""
    return _CODE.sub("", text)


def cited_laws() -> dict[int, list[str]]:
    """Laws that the product cites, each with the files that do."""
    found: dict[int, list[str]] = {}
    for file in modules():
        for cited in re.findall(r"\b[Ll]aws? (\d+(?:(?:, | and | or )\d+)*)", file.read_text()):
            for number in re.findall(r"\d+", cited):
                found.setdefault(int(number), []).append(str(file.relative_to(ROOT)))
    return found


def defined_tests() -> set[str]:
    """Names of all test functions."""
    return {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text())
    }
