"""The tables beside the grammars are those of the grammars, and a grammar without one parses the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.grammar_tables import USERS
from tidegate.analysis.expressions import parser
from tidegate.manifests.grammar import Grammar

PACKAGE = Path(__file__).parents[3] / "tidegate"
TEXTS = (
    "result < 0.05",
    "all(result, {# < 1}) and not isNaN(result[0])",
    "default(result, 0) ** 2 >= 1 ? true : false",
)


def copy_of(folder: Path, *names: str) -> Grammar:
    for name in names:
        shutil.copy(Path(parser.__file__).with_name(name), folder)
    return Grammar("conditions.lark", rel_to=str(folder / "module.py"))


def test_each_grammar_has_its_table() -> None:
    """A failure here asks for `make grammars`."""
    files = {grammar.table_file for grammar in Grammar.all_read() if PACKAGE in grammar.table_file.parents}
    assert USERS
    assert files == {path.with_suffix(".table.json") for path in PACKAGE.rglob("*.lark")}
    assert [grammar.table_file.name for grammar in Grammar.all_read() if not grammar.has_table] == []


@pytest.mark.parametrize("text", TEXTS)
def test_a_table_changes_no_answer(text: str, tmp_path: Path) -> None:
    with_table = copy_of(tmp_path, "conditions.lark", "conditions.table.json")
    (bare := tmp_path / "bare").mkdir()
    without = copy_of(bare, "conditions.lark")
    assert (with_table.has_table, without.has_table) == (True, False)
    assert with_table.parse(text) == without.parse(text)


def test_the_table_of_another_grammar_is_left_alone(tmp_path: Path) -> None:
    copy_of(tmp_path, "conditions.lark", "conditions.table.json")
    (tmp_path / "conditions.lark").write_text('start: "a"\n', "utf-8")
    changed = Grammar("conditions.lark", rel_to=str(tmp_path / "module.py"))
    assert not changed.has_table
    assert changed.parse("a").data == "start"
