"""OpenBao as the worker meets it: it reads what it may, nothing else; the rest of the world sees no key."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import hvac
import pytest
import pytest_asyncio
from hvac.exceptions import Forbidden

from sandbox.vault import MOUNT, Vault

PATH = "argo-rollouts/datadog"

pytestmark = [pytest.mark.world, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vault(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Vault]:
    vault = Vault(tmp_path_factory.mktemp("vault"), paths=[PATH])
    await vault.start()
    await vault.seed(PATH, {"api-key": "first"})
    await vault.seed("somebody/else", {"key": "private"})
    yield vault
    await vault.stop()


def login(vault: Vault) -> hvac.Client:
    client = hvac.Client(url=vault.address)
    client.auth.approle.login(vault.role_id_file.read_text(), vault.secret_id_file.read_text())
    return client


def read(client: hvac.Client, path: str) -> dict[str, str]:
    answer = client.secrets.kv.v2.read_secret_version(path, mount_point=MOUNT, raise_on_deleted_version=True)
    return dict(answer["data"]["data"])


async def in_thread(vault: Vault, path: str) -> dict[str, str]:
    return await asyncio.to_thread(lambda: read(login(vault), path))


async def test_the_worker_reads_its_secret_and_the_next_version_of_it(vault: Vault) -> None:
    assert await in_thread(vault, PATH) == {"api-key": "first"}
    await vault.seed(PATH, {"api-key": "second"})
    assert await in_thread(vault, PATH) == {"api-key": "second"}


async def test_another_path_is_forbidden(vault: Vault) -> None:
    with pytest.raises(Forbidden):
        await in_thread(vault, "somebody/else")


async def test_the_worker_may_not_write(vault: Vault) -> None:
    def write() -> None:
        login(vault).secrets.kv.v2.create_or_update_secret(PATH, {"api-key": "mine"}, mount_point=MOUNT)

    with pytest.raises(Forbidden):
        await asyncio.to_thread(write)


async def test_the_files_of_the_role_are_readable_by_their_owner_alone(vault: Vault) -> None:
    for file in (vault.role_id_file, vault.secret_id_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_no_key_of_the_server_is_on_disk_or_in_its_arguments(vault: Vault) -> None:
    token, key = vault._root_token, vault._unseal_key
    arguments = await asyncio.to_thread(Path(f"/proc/{vault.program.pid}/cmdline").read_bytes)
    files = [file for file in vault.role_id_file.parent.rglob("*") if file.is_file()]
    assert vault.program.log_file in files
    for secret in (token.encode(), key.encode()):
        assert secret not in arguments
        assert not [file for file in files if secret in file.read_bytes()]


async def test_a_killed_server_comes_back_with_what_it_held(vault: Vault) -> None:
    await vault.seed(PATH, {"api-key": "third"})
    await vault.kill()
    await vault.start()
    assert await in_thread(vault, PATH) == {"api-key": "third"}
