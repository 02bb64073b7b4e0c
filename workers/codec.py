"""Sources of a process's encryption keys for its payloads: Vault or a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from temporalio.exceptions import ApplicationError

from tidegate.client import ConfigurationError, Keyring, KeySource, KeysUnavailableError, StoredKeys, file_keys
from workers.settings import PREFIX, Settings
from workers.wiring import open_secrets

if TYPE_CHECKING:
    from activities.secrets.store import Secrets


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncIterator[KeySource | None]:
    """The keys that the settings name, not yet read; None while the codec is off. Their store is closed at the end.

    They are read again in the background, so that a key that was added in time is known before it is met.
    Raises ConfigurationError where they are in a Vault that is not set.
    """
    codec = settings.codec
    async with AsyncExitStack() as stack:
        if codec is None:
            yield None
            return
        if codec.key_file is not None:
            keys = file_keys(codec.key_file)
        elif settings.has_secrets:
            # The keys have a memory of their own, which has to know when it is out of date.
            secrets = open_secrets(settings, stack, used_while_away=False)
            keys = vault_keys(secrets, codec.secret_path)
        else:
            raise ConfigurationError(f"{PREFIX}CODEC__SECRET_PATH: no Vault is set", f"set {PREFIX}VAULT__ADDRESS")
        stack.push_async_callback(keys.close)
        renewing = asyncio.create_task(keys.keep_renewing())
        try:
            yield keys
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)


def vault_keys(secrets: Secrets, path: str, *, clock: Callable[[], float] = time.monotonic) -> StoredKeys:
    """The keys in the secret at `path`; reading raises KeysUnavailableError, or ConfigurationError for a bad one."""

    async def read() -> Keyring:
        try:
            fields = await secrets.refresh(path)
        except ApplicationError as error:
            # Not as it is: its type would fail an activity for good that has nothing to do with these keys.
            raise KeysUnavailableError(
                f"keys of the codec: {error.message}", f"see {PREFIX}CODEC__SECRET_PATH and {PREFIX}VAULT__ADDRESS"
            ) from error
        return Keyring.parse(fields, path)

    return StoredKeys(read, clock=clock)
