"""What two versions, running releases and recorded histories agree on does not change unnoticed."""

from __future__ import annotations

import difflib
from copy import deepcopy
from typing import Any

import pytest

from tests.contract.wire import FILE, READERS, document, handlers, takes_anything, text
from tidegate.contract import Activity, ErrorType, Query, Signal, Update

REMEDY = """
The wire has changed. Running releases, recorded histories and workers of other versions still use the form before.
If the change was not meant, take it back. If it was meant:
1. write the file anew with `make wire` (or `python -m tests.contract`);
2. have the diff of tests/contract/wire.json reviewed;
3. record the histories anew with `python -m tests.replay.record`, where they hold what was changed;
4. say in CHANGELOG.md what a user has to do.
"""
SHOWN_LINES = 60


@pytest.fixture(scope="module")
def wire() -> dict[str, Any]:
    return document()


def changes(wire: dict[str, Any]) -> list[str]:
    committed, current = FILE.read_text().splitlines(), text(wire).splitlines()
    return list(difflib.unified_diff(committed, current, "committed", "code", lineterm="", n=2))


def test_wire_is_the_committed_one(wire: dict[str, Any]) -> None:
    assert not (diff := changes(wire)), "\n".join((REMEDY, *diff[:SHOWN_LINES]))


def test_renamed_field_is_noticed(wire: dict[str, Any]) -> None:
    renamed = deepcopy(wire)
    status = renamed["shapes"]["workflows.Rollout.queries.status.returns"]["properties"]
    status["phases"] = status.pop("phase")
    assert any(line.startswith("-") and '"phase":' in line for line in changes(renamed))


def test_each_name_of_the_contract_has_a_definition(wire: dict[str, Any]) -> None:
    """A name without a definition is sent and never served; a definition without a name is spelt twice."""
    assert set(wire["activities"]) == {str(each) for each in Activity}
    assert set(wire["error_types"]) == {str(each) for each in ErrorType}
    for names, plural in ((Signal, "signals"), (Query, "queries"), (Update, "updates")):
        handled = {name for each in wire["workflows"].values() for name in each.get(plural, {})}
        assert handled == {str(each) for each in names}


def test_each_handler_without_type_hints_has_its_reader() -> None:
    assert set(READERS) == {key for key, function in handlers().items() if takes_anything(function)}


@pytest.mark.parametrize("key", sorted(READERS), ids=":".join)
def test_the_reader_is_imported_where_the_handler_is(key: tuple[str, str, str]) -> None:
    known = [id(each) for each in handlers()[key].__globals__.values()]
    assert [each for each in READERS[key] if id(each) not in known] == []
