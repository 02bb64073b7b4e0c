"""A Vault for all tests of what follows an abort."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sandbox.vault import Vault
from tests.aftermath.systems import SECRETS


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    server = Vault(tmp_path_factory.mktemp("vault"), paths=SECRETS)
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())
