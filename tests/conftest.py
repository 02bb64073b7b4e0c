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

from tests.leftovers import nothing_is_left_running
from tests.limits import pytest_collection_modifyitems, pytest_runtest_call

__all__ = ["nothing_is_left_running", "pytest_collection_modifyitems", "pytest_runtest_call"]

EXAMPLES = 40

settings.register_profile("searching", deadline=None, max_examples=EXAMPLES)  # a busy machine is not a bug
settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "searching")


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command that a test runs has its logs printed to the stream of that test, which is closed after it."""
    yield
    structlog.reset_defaults()
