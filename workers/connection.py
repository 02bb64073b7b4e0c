"""A process's connection to Temporal: made with patience, watched, and renewed with its token and its certificates."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from temporalio.client import Client, Interceptor
from temporalio.runtime import Runtime
from temporalio.service import RPCError

from tidegate.client import (
    KeySource,
    KeysUnavailableError,
    TidegateError,
    UnreachableError,
    connect_temporal,
    data_converter,
    temporal_tls,
)
from workers.health import Health
from workers.settings import Settings

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS: Final = 0.5
CHECK_SECONDS: Final = 5.0
CHECK_TIMEOUT: Final = timedelta(seconds=3)


class TokenFileError(TidegateError):
    """The file of the process's token for Temporal holds none now."""


class Connection:
    """The Temporal client of one process. An owner of the client registers with `follow` to get a renewed one.

    A client keeps the certificates of its connect, in the SDK as in gRPC; only its token can be set anew.
    """

    def __init__(
        self,
        settings: Settings,
        health: Health,
        keys: KeySource | None,
        runtime: Runtime,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        """`keys` encrypt payloads; `runtime` and `interceptors` are those of every client and worker of the process."""
        self.client: Client  # once it is open; the one that was made last
        self.health = health
        self.meter = runtime.metric_meter
        self._token_file = settings.temporal_token_file
        self._longest_wait = settings.reconnect_at_most.total_seconds()
        self._keys = keys
        self._runtime = runtime
        self._interceptors = interceptors
        self._followers: list[Callable[[Client], None]] = []

    async def open(self) -> Client:
        """Connect; neither Temporal nor the store of keys need be up yet: the health says what is not."""
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                if self._keys is not None:
                    await self._keys.keyring()  # here, so that no task is taken before its payloads can be read
                self.client = await self._connect(await read_token(self._token_file))
                return self.client
            except (UnreachableError, KeysUnavailableError, TokenFileError) as error:
                self.health.set_not_ready(error.message)
                await asyncio.sleep(delay)
                delay = min(delay * 2, self._longest_wait)

    def follow(self, take: Callable[[Client], None]) -> None:
        """Have `take` called with each client that takes the place of the one before."""
        self._followers.append(take)

    async def check(self, trouble: Callable[[], str]) -> None:
        """Keep the health up to date until cancelled, and the client in step with its token and certificates.

        `trouble` gives another reason for not being ready, empty when there is none.
        """
        while True:
            try:
                await self._renew()
                await self.client.service_client.check_health(timeout=CHECK_TIMEOUT)
            except RPCError as error:
                self.health.set_not_ready(f"Temporal does not answer: {error.message}")
            except TidegateError as error:  # the token and the certificates from before go on until they end
                self.health.set_not_ready(error.message)
            else:
                if reason := trouble():
                    self.health.set_not_ready(reason)
                else:
                    self.health.set_ready()
            await asyncio.sleep(CHECK_SECONDS if self.health.ready else FIRST_RETRY_SECONDS)

    async def _renew(self) -> None:
        """Use the content of the files. Raises TokenFileError, ConfigurationError or UnreachableError."""
        token = await read_token(self._token_file)
        if await asyncio.to_thread(temporal_tls) != self.client.service_client.config.tls:
            self.client = await self._connect(token)
            for take in self._followers:
                take(self.client)
            log.info("certificates for temporal read anew")
        elif token is not None and token != self.client.api_key:
            self.client.api_key = token
            log.info("token for temporal read anew")

    async def _connect(self, token: str | None) -> Client:
        return await connect_temporal(
            identity=f"{os.getpid()}@{socket.gethostname()}",
            converter=data_converter(self._keys),
            runtime=self._runtime,
            interceptors=self._interceptors,
            api_key=token,
        )


async def read_token(file: Path | None) -> str | None:
    """The token for Temporal in its file; None where there is no such file. Raises TokenFileError."""
    if file is None:
        return None
    try:
        token = (await asyncio.to_thread(file.read_text, encoding="ascii")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileError(f"token for Temporal: {file}: {error}") from error
    if len(token.split()) != 1:
        raise TokenFileError(f"token for Temporal: {file}: it holds no token")
    return token
