"""What all tests share: how property tests search, how long a test may take, and that no process outlives them.

On a developer's machine they look somewhere new each time. In CI they look where they looked before, so that a change
is judged by itself; what a developer's run finds becomes an explicit example.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests import limits
from tests.leftovers import nothing_is_left_running
from tests.limits import pytest_runtest_call

__all__ = ["nothing_is_left_running", "pytest_runtest_call"]

EXAMPLES = 40

settings.register_profile("searching", deadline=None, max_examples=EXAMPLES)  # a busy machine is not a bug
settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "searching")

FIRST = ("chaos", "world", "aftermath", "laws", "judge")
"""Folders whose tests take longest: what begins last is waited for alone."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Limit each test's time, and begin with the longest."""
    limits.pytest_collection_modifyitems(config, items)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return FIRST.index(folder) if folder in FIRST else len(FIRST)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command that a test runs has its logs printed to the stream of that test, which is closed after it."""
    yield
    structlog.reset_defaults()
