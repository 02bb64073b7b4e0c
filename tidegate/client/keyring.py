"""Keys of the payload codec: by id, one of them current, with the sources of keys."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import structlog

from tidegate.client.errors import ConfigurationError, TidegateError

log = structlog.get_logger(__name__)

CURRENT: Final = "current"
KEY_BYTES: Final = 32
KEYS_VARIABLE: Final = "TIDEGATE_CODEC_KEYS"
KEY_FILE_VARIABLE: Final = "TIDEGATE_CODEC__KEY_FILE"
MAX_KEY_FILE_BYTES: Final = 64 * 1024
RENEW_SECONDS: Final = 300.0
REREAD_SECONDS: Final = 10.0
REMEDY: Final = (
    f"give a field for each key, its id with the base64 of {KEY_BYTES} random bytes, "
    f"and `{CURRENT}` with the id to encrypt with"
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Keyring:
    """Keys of 32 bytes by id. `current` is the one to encrypt with; the others still decrypt."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)  # a key that is printed is a key that is lost

    @classmethod
    def parse(cls, fields: Mapping[str, object], source: str) -> Keyring:
        """Read a secret's fields; `source` names it in errors.

        Raises ConfigurationError, whose text names the field and never a key.
        """
        keys = {name: _key(name, value, source) for name, value in fields.items() if name != CURRENT}
        current = fields.get(CURRENT)
        if not isinstance(current, str) or current not in keys:
            known = ", ".join(sorted(keys)) or "none"
            raise ConfigurationError(f"{source}: `{CURRENT}` names no key; the keys are {known}", REMEDY)
        return cls(current, keys)


class KeysUnavailableError(TidegateError):
    """The store of the keys does not give them now."""


class KeySource(Protocol):
    """A source of the codec's keys."""

    async def keyring(self) -> Keyring:
        """The keys, from memory where they were read before."""
        ...

    async def reread(self) -> Keyring:
        """The keys after a read of the store: for a payload whose key is not in memory."""
        ...

    def renew(self) -> None:
        """Read the store in the background: for callers that must not wait for it."""
        ...


@dataclass(frozen=True)
class FixedKeys:
    """Keys that stay as they are; implements `KeySource`."""

    ring: Keyring

    async def keyring(self) -> Keyring:
        """The keys."""
        return self.ring

    reread = keyring

    def renew(self) -> None:
        """Do nothing: there is no store."""


class StoredKeys:
    """Keys in a store, kept in memory so that nothing waits for the store; implements `KeySource`.

    The current key is read again in the background: so every process changes to a new one by itself, and keeps its keys
    while the store is away. A key that was read still decrypts for the life of the process, whatever becomes of it in
    the store.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Keyring]],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`read` reads the store, `clock` gives monotonic seconds, `pause` sleeps for some."""
        self._read = read
        self._clock = clock
        self._pause = pause
        self._ring: Keyring | None = None
        self._tried_at = 0.0
        self._renew_at = 0.0
        self._renewal: asyncio.Task[None] | None = None

    async def keyring(self) -> Keyring:
        """The keys. Raises what `read` raises, the first time only."""
        if self._ring is None:
            return await self.reread()
        if self._clock() >= self._renew_at:
            self.renew()
        return self._ring

    async def reread(self) -> Keyring:
        """The keys in the store now; raises the errors of `read`.

        Within a few seconds of the last read it is those in memory: made-up ids are no load on the store.
        """
        if self._ring is None or self._clock() - self._tried_at >= REREAD_SECONDS:
            self._tried_at = self._clock()
            self._renew_at = self._tried_at + REREAD_SECONDS  # should the store be away
            found = await self._read()
            known = self._ring.keys if self._ring is not None else {}
            self._ring = Keyring(found.current, {**known, **found.keys})
            self._renew_at = self._clock() + RENEW_SECONDS
        return self._ring

    def renew(self) -> None:
        """Read the store in the background, unless a read is under way or was a few seconds ago."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())

    async def keep_renewing(self) -> None:
        """Read the store periodically until cancelled, so that an idle process learns new keys, too."""
        while True:
            await self._pause(max(self._renew_at - self._clock(), REREAD_SECONDS))
            await self._renew()

    async def close(self) -> None:
        """End what is going on in the background."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    async def _renew(self) -> None:
        try:
            await self.reread()
        except TidegateError as error:
            log.warning("the codec goes on with the keys that it has", error=error.message)


def keys_from_environment() -> KeySource | None:
    """Keys of a command or a CI job: JSON in `TIDEGATE_CODEC_KEYS`, or in the file `TIDEGATE_CODEC__KEY_FILE`.

    None where neither is set: the codec is off. Raises ConfigurationError for both, or for keys that cannot be used.
    """
    text, file = os.environ.get(KEYS_VARIABLE, ""), os.environ.get(KEY_FILE_VARIABLE, "")
    if text and file:
        raise ConfigurationError(f"{KEYS_VARIABLE} and {KEY_FILE_VARIABLE} are both set", "set one of them")
    if text:
        return FixedKeys(Keyring.parse(_fields(text, KEYS_VARIABLE), KEYS_VARIABLE))
    return file_keys(Path(file)) if file else None


def file_keys(path: Path) -> StoredKeys:
    """Keys in a JSON file, as `vault kv get -format=json -field=data` prints a secret."""

    async def read() -> Keyring:
        content = await asyncio.to_thread(_content, path)
        return Keyring.parse(_fields(content, str(path)), str(path))

    return StoredKeys(read)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", f"see {KEY_FILE_VARIABLE}") from error
    if len(content) > MAX_KEY_FILE_BYTES:
        raise ConfigurationError(f"{path}: more than {MAX_KEY_FILE_BYTES} bytes", REMEDY)
    return content.decode("utf-8", "replace")


def _fields(text: str, source: str) -> Mapping[str, object]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None  # the decoder's own error quotes what it read
    if not isinstance(fields, dict):
        raise ConfigurationError(f"{source}: this is not a JSON object", REMEDY)
    return fields


def _key(name: str, value: object, source: str) -> bytes:
    if not _ID.fullmatch(name):
        raise ConfigurationError(
            f"{source}: {name[:80]!r} is no key id", "use up to 64 letters, digits, '.', '_' and '-'"
        )
    try:
        key = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{source}: key {name} is not the base64 of {KEY_BYTES} bytes", REMEDY)
    return key
