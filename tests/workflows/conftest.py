"""A release on the time-skipping server, for every test that asks for a `world`."""

from __future__ import annotations

import pytest

from tests.virtual.releases import open_release_world

world = pytest.fixture(open_release_world, name="world")
