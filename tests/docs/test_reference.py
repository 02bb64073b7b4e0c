"""The pages that are written from the code are as the code is, and leave out no name."""

from __future__ import annotations

import re

from tests.docs.drawings import drawings
from tests.docs.reference import (
    OF_A_RELEASE,
    PAGE,
    PURPOSES,
    WRITTEN_BY_PEOPLE,
    WRITTEN_BY_TIDEGATE,
    events,
    reasons,
    render,
)
from tests.structure.sources import modules
from tidegate.contract import names
from workflows import follow_up_events


def test_the_page_of_names_is_that_of_the_code() -> None:
    assert PAGE.read_text() == render(), "python -m tests.docs.reference"


def test_the_drawings_are_those_of_their_script() -> None:
    assert {file for file, drawing in drawings().items() if file.read_text() != drawing} == set()


def test_each_annotation_of_the_code_is_on_the_page() -> None:
    written = {name for file in modules() for name in re.findall(r"\"(tidegate\.io/[\w.-]*[\w.])\"", file.read_text())}
    listed = {name.removesuffix("<column>") for name in (*WRITTEN_BY_PEOPLE, *WRITTEN_BY_TIDEGATE)}
    assert written == listed


def test_each_event_of_the_code_is_on_the_page() -> None:
    assert events().keys() == OF_A_RELEASE.keys()
    assert set(follow_up_events._REASONS.values()) < OF_A_RELEASE.keys()


def test_each_workflow_is_on_the_page() -> None:
    assert {value for name, value in vars(names).items() if name.endswith("_WORKFLOW")} == PURPOSES.keys()


def test_reasons_are_found() -> None:
    source = (
        "state.event('A' if x else 'B', t)\nself.event(f'C{phase}', t, warning=True)\nother('D', t)\n"
        "event('E', t, warning=x)\n"
    )
    assert list(reasons(source)) == [("A", False), ("B", False), ("C<phase>", True), ("E", False), ("E", True)]
