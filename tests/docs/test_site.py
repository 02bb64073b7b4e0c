"""The site of the documents: a place for each page, links into the repository, and anchors as on a forge."""

from __future__ import annotations

import os
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, headings

DOCS = ROOT / "docs"
CONFIGURATION = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
HOOKS = runpy.run_path(str(DOCS / "site" / "hooks.py"))
MKDOCS = ROOT / ".venv-docs" / "bin" / "mkdocs"


def places(entry: Any) -> Iterator[str]:
    """Files below an entry of the menu."""
    if isinstance(entry, str):
        yield entry
    for each in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from places(each)


def test_each_page_has_one_place_in_the_menu() -> None:
    assert sorted(places(CONFIGURATION["nav"])) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_the_first_page_leads_to_each_part() -> None:
    first = (DOCS / "README.md").read_text()
    parts = [list(places(part)) for part in CONFIGURATION["nav"]]
    assert [pages[0] for pages in parts if not any(f"]({page}" in first or page == "README.md" for page in pages)] == []


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("rollouts.md", "../examples/README.md", "https://forge/blob/main/examples/README.md"),
        ("README.md", "../README.md#see-it", "https://forge/blob/main/README.md#see-it"),
        ("decisions/0003.md", "../quirks.md", "../quirks.md"),
        ("runbooks/a.md", "../../SECURITY.md", "https://forge/blob/main/SECURITY.md"),
    ],
)
def test_a_link_out_of_the_pages_leads_into_the_repository(page: str, link: str, there: str) -> None:
    assert HOOKS["outward"](f"[x]({link})", page, "https://forge") == f"[x]({there})"


def test_anchors_are_those_of_a_forge() -> None:
    titles = ["At 100 %", "A weight: asked, set, seen", "`TIDEGATE_VAULT__`"]
    assert {HOOKS["slug"](title, "-") for title in titles} == headings("".join(f"# {title}\n" for title in titles))


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    if not MKDOCS.exists():
        pytest.skip("mkdocs is not installed: make docs; CI does in a job of its own")
    command = [str(MKDOCS), "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "index.html").read_text()
    assert "/blob/main/README.md#see-it" in page
    assert "fonts.googleapis.com" not in page
