"""Files, links, tests and laws that the documents name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import (
    ARCHITECTURE,
    DECISIONS,
    PAGES,
    ROOT,
    cited_laws,
    defined_tests,
    headings,
    laws,
    links,
    named_tests,
    paths,
    prose,
    section,
    starting_files,
)
from tests.structure.sources import PRODUCT

MAX_LINES = 400
CHANGES = 37
PARTS = ("Context", "Decision", "Consequences", "What would change our mind")
# Words that this project used for many things at once, and words about how it came to be.
UNCLEAR = re.compile(r"\b(doors?|tells?|told|stands?|standing|whoever|somebody's word|seed|spine)\b", re.IGNORECASE)
LINKING = sorted({*PAGES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "deploy" / "README.md"})


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("page", LINKING, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, heading in links(page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), f"{name(page)} links to {target}, which does not exist"
        if heading:
            assert heading in headings(file.read_text()), f"{target} has no heading #{heading}"


@pytest.mark.parametrize("page", LINKING, ids=name)
def test_paths_in_backticks_exist(page: Path) -> None:
    missing = [path for path in paths(page.read_text()) if not (ROOT / path).exists()]
    assert missing == [], f"{name(page)} names files that were moved or removed"


@pytest.mark.parametrize("page", LINKING, ids=name)
def test_named_tests_exist(page: Path) -> None:
    assert set(named_tests(page.read_text())) - defined_tests() == set()


@pytest.mark.parametrize("page", LINKING, ids=name)
def test_words_are_plain(page: Path) -> None:
    assert UNCLEAR.findall(prose(page.read_text())) == []


def test_each_change_begins_in_one_short_file() -> None:
    files = starting_files(ARCHITECTURE.read_text())
    assert len(files) == CHANGES
    assert len(set(files.values())) == CHANGES
    lengths = {file: len((ROOT / file).read_text().splitlines()) for file in files.values()}
    assert {file: lines for file, lines in lengths.items() if lines >= MAX_LINES} == {}


def test_each_law_names_a_test_that_holds_it() -> None:
    assert [number for number, law in laws(ARCHITECTURE.read_text()).items() if not named_tests(law)] == []


def test_each_cited_law_is_on_the_page() -> None:
    cited, known = cited_laws(), laws(ARCHITECTURE.read_text())
    assert cited
    assert {number: files for number, files in cited.items() if number not in known} == {}


@pytest.mark.parametrize("record", DECISIONS, ids=name)
def test_a_decision_has_its_parts_and_its_number(record: Path) -> None:
    text = record.read_text()
    assert text.startswith(f"# {record.name[:4]} ")
    assert [part for part in PARTS if not section(text, part).strip()] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("package", PRODUCT)
def test_a_published_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


def test_make_help_names_each_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()
    assert sorted(phony) == sorted(re.findall(r"^([a-z-]+):.*  ## \S", makefile, re.MULTILINE))


def test_what_the_checks_look_for_is_found() -> None:
    text = "See [it](a.md#b) and `docs/b.py`, `tests/`, `elsewhere/c`, `test_x`, ```\n[no](link.md)\n```."
    assert links(text) == [("a.md", "b")]
    assert paths(text) == ["docs/b.py", "tests/"]
    assert named_tests(text) == ["test_x"]
    assert UNCLEAR.findall("The door stands open; he told it.") == ["door", "stands", "told"]
