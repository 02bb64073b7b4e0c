"""The codec's keys in a real Vault: read when a worker starts, and again when they were changed."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from activities.secrets.vault import Vault as VaultSecrets
from activities.secrets.vault import VaultSettings
from activities.secrets.vault_login import AppRoleLogin
from sandbox.processes import until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import TidegateProcess
from sandbox.vault import Vault
from tests.workers.scripted_provider import endless
from tidegate.client import (
    AnalysisRunRef,
    ConfigurationError,
    FixedKeys,
    Keyring,
    KeysUnavailableError,
    TidegateClient,
    UnreadablePayloadError,
    analysis_request,
    data_converter,
)
from tidegate.client.codec import PayloadEncryption
from tidegate.client.keyring import REREAD_SECONDS
from workers.codec import open_keys, vault_keys
from workers.outside_settings import CodecSettings, SecretsSettings
from workers.outside_settings import VaultVariables as GivenVault
from workers.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "tidegate/codec"
MOUNTED = f"secret/{PATH}"
OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"checkout"')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Vault]:
    vault = Vault(tmp_path_factory.mktemp("vault"), paths=[PATH, f"{PATH}-*"])
    await vault.start()
    yield vault
    await vault.stop()


def fields(current: str, **keys: bytes) -> dict[str, str]:
    return {"current": current, **{name: base64.b64encode(key).decode() for name, key in keys.items()}}


def reached(store: Vault) -> GivenVault:
    return GivenVault(
        address=store.address,
        auth="approle",
        role_id_file=store.role_id_file,
        secret_id_file=store.secret_id_file,
    )


async def test_keys_come_from_vault(store: Vault) -> None:
    await store.seed(PATH, fields("k1", k1=OLD))
    settings = Settings(vault=reached(store), codec=CodecSettings(secret_path=MOUNTED))
    async with open_keys(settings) as keys:
        assert keys is not None
        assert await keys.keyring() == Keyring("k1", {"k1": OLD})


async def test_a_key_that_is_new_in_vault_is_read_when_it_is_met(store: Vault) -> None:
    await store.seed(PATH, fields("k1", k1=OLD))
    now = [0.0]
    login = AppRoleLogin(role_id_file=store.role_id_file, secret_id_file=store.secret_id_file)
    secrets = VaultSecrets(VaultSettings(address=store.address, login=login))
    codec = PayloadEncryption(vault_keys(secrets, MOUNTED, clock=lambda: now[0]))
    [before] = await codec.encode([PLAIN])
    [newer] = await PayloadEncryption(FixedKeys(Keyring("k2", {"k2": NEW}))).encode([PLAIN])
    now[0] += REREAD_SECONDS
    with pytest.raises(UnreadablePayloadError, match="'k2': this key is not known"):
        await codec.decrypt(newer)
    await store.seed(PATH, fields("k2", k1=OLD, k2=NEW))
    now[0] += REREAD_SECONDS
    assert await codec.decode([newer, before]) == [newer, PLAIN]  # nothing waits for the store

    async def learnt() -> bool:
        return await codec.decode([newer, before]) == [PLAIN, PLAIN]

    await until(learnt, 5, "the new key was read in the background")
    [after] = await codec.encode([PLAIN])
    assert after.metadata["encryption-key-id"] == b"k2"
    await secrets.close()


async def test_keys_outlive_their_store(store: Vault) -> None:
    await store.seed(PATH, fields("k1", k1=OLD))
    settings = Settings(vault=reached(store), codec=CodecSettings(secret_path=MOUNTED))
    async with open_keys(settings) as keys:
        assert keys is not None
        codec = PayloadEncryption(keys)
        [before] = await codec.encode([PLAIN])
        await store.kill()
        try:
            [unknown] = await PayloadEncryption(FixedKeys(Keyring("k2", {"k2": NEW}))).encode([PLAIN])
            assert await codec.decode([unknown, before]) == [unknown, PLAIN]
        finally:
            await store.start()


async def test_a_folder_holds_keys_for_a_worker_without_a_vault(tmp_path: Path) -> None:
    folder = tmp_path / MOUNTED
    folder.mkdir(parents=True)
    for name, value in fields("k1", k1=OLD).items():
        (folder / name).write_text(value)
    settings = Settings(secrets=SecretsSettings(folder=tmp_path), codec=CodecSettings(secret_path=MOUNTED))
    async with open_keys(settings) as keys:
        assert keys is not None
        assert await keys.keyring() == Keyring("k1", {"k1": OLD})


async def test_keys_that_are_not_there_are_named(store: Vault) -> None:
    settings = Settings(vault=reached(store), codec=CodecSettings(secret_path=f"{MOUNTED}-absent"))
    async with open_keys(settings) as keys:
        assert keys is not None
        with pytest.raises(KeysUnavailableError, match=f"keys of the codec: .*{MOUNTED}-absent"):
            await keys.keyring()


async def test_a_path_without_a_vault_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="TIDEGATE_CODEC__SECRET_PATH: no Vault is set"):
        async with open_keys(Settings(codec=CodecSettings(secret_path=MOUNTED))):
            pass


async def test_nothing_set_is_no_codec() -> None:
    async with open_keys(Settings()) as keys:
        assert keys is None


@pytest.mark.parametrize("group", [{}, {"secret_path": MOUNTED, "key_file": "/run/keys.json"}])
async def test_keys_are_in_one_place(group: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="set either secret_path or key_file"):
        CodecSettings.model_validate(group)


async def test_a_worker_waits_for_its_keys_and_works_with_them(
    server: TemporalServer, store: Vault, tmp_path: Path
) -> None:
    path = f"{PATH}-{uuid.uuid4().hex[:8]}"
    settings = {
        "TEMPORAL_ADDRESS": server.address,
        "TIDEGATE_ROLE": "workflows",
        "TIDEGATE_VAULT__ADDRESS": store.address,
        "TIDEGATE_VAULT__AUTH": "approle",
        "TIDEGATE_VAULT__ROLE_ID_FILE": str(store.role_id_file),
        "TIDEGATE_VAULT__SECRET_ID_FILE": str(store.secret_id_file),
        "TIDEGATE_CODEC__SECRET_PATH": f"secret/{path}",
    }
    worker = TidegateProcess("worker", tmp_path, settings)

    async def says_what_is_missing() -> bool:
        return await worker.not_ready() and "keys of the codec" in worker.program.log_file.read_text()

    try:
        await worker.begin()
        await until(says_what_is_missing, 20, "the worker says that something is missing")
        await store.seed(path, fields("k1", k1=OLD))
        await until(worker.ready, 20, "the worker is ready")
        keys = FixedKeys(Keyring("k1", {"k1": OLD}))
        client = TidegateClient(await Client.connect(server.address, data_converter=data_converter(keys)))
        run = AnalysisRunRef("payments", f"check-{uuid.uuid4().hex[:8]}")
        asked = analysis_request([endless()], {"service": "ledger"}, namespace=run.namespace, name=run.name)
        await client.run_analysis(asked)
        assert (await client.analysis_status(run)).name == run.name
        await client.terminate_analysis(run)
        await client.wait_for_analysis(run, timeout=timedelta(seconds=20))
    finally:
        await worker.stop()
    log = worker.program.log_file.read_text()
    assert base64.b64encode(OLD).decode() not in log
