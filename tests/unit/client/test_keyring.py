"""Where the codec's keys come from, and when their store is asked."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload

from sandbox.processes import until
from tidegate.client import (
    ConfigurationError,
    FixedKeys,
    Keyring,
    KeysUnavailableError,
    StoredKeys,
    keys_from_environment,
)
from tidegate.client.codec import PayloadEncryption
from tidegate.client.keyring import KEY_FILE_VARIABLE, KEYS_VARIABLE, MAX_KEY_FILE_BYTES, RENEW_SECONDS, REREAD_SECONDS

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
DOCUMENT = json.dumps({"current": "k1", "k1": base64.b64encode(KEY).decode()})


class Store:
    """Keys that a test replaces, and the time that it sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looked = 0
        self.ring: Keyring | None = Keyring("k1", {"k1": KEY})
        self.keys = StoredKeys(self.read, clock=lambda: self.now)

    async def read(self) -> Keyring:
        self.looked += 1
        if self.ring is None:
            raise KeysUnavailableError("the store is away")
        return self.ring

    async def current(self) -> str:
        return (await self.keys.keyring()).current


async def test_keys_are_read_once_and_then_kept() -> None:
    store = Store()
    assert [await store.current() for _ in range(3)] == ["k1"] * 3
    assert store.looked == 1


async def test_a_new_current_key_is_found_in_the_background_without_a_wait() -> None:
    store = Store()
    await store.current()
    store.ring = Keyring("k2", {"k1": KEY, "k2": KEY})
    store.now += RENEW_SECONDS
    assert await store.current() == "k1"

    async def renewed() -> bool:
        return await store.current() == "k2"

    await until(renewed, 1, "the new key is current")
    assert store.looked == 2


async def test_a_store_that_is_away_takes_no_key_away() -> None:
    store = Store()
    await store.current()
    store.ring = None
    store.now += RENEW_SECONDS
    assert await store.current() == "k1"

    async def looked_again() -> bool:
        return store.looked == 2

    await until(looked_again, 1, "the store was asked again")
    for _ in range(100):
        assert await store.current() == "k1"
    assert store.looked == 2
    store.now += REREAD_SECONDS
    store.ring = Keyring("k2", {"k1": KEY, "k2": KEY})

    async def renewed() -> bool:
        return await store.current() == "k2"

    await until(renewed, 1, "the new key is current")


async def test_a_store_that_was_never_reached_says_so_each_time() -> None:
    store = Store()
    store.ring = None
    for _ in range(2):
        with pytest.raises(KeysUnavailableError, match="away"):
            await store.current()


async def test_ids_that_somebody_makes_up_are_no_load_on_the_store() -> None:
    store = Store()
    await store.current()
    for _ in range(100):
        await store.keys.reread()
    assert store.looked == 1
    store.now += REREAD_SECONDS
    await store.keys.reread()
    assert store.looked == 2


async def test_a_payload_with_a_key_that_is_not_known_waits_for_no_store() -> None:
    asked, answered = asyncio.Event(), asyncio.Event()
    rings = [Keyring("k1", {"k1": KEY}), Keyring("k1", {"k1": KEY, "k2": OTHER})]

    async def read() -> Keyring:
        if len(rings) == 1:
            asked.set()
            await answered.wait()
        return rings.pop(0)

    now = [0.0]
    codec = PayloadEncryption(StoredKeys(read, clock=lambda: now[0]))
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"abort"')
    [newer] = await PayloadEncryption(FixedKeys(Keyring("k2", {"k2": OTHER}))).encode([plain])
    [known] = await codec.encode([plain])
    now[0] += REREAD_SECONDS
    assert await codec.decode([newer, known]) == [newer, plain]
    await asked.wait()
    assert await codec.decode([newer, known]) == [newer, plain]  # while the store has not answered
    answered.set()

    async def learnt() -> bool:
        return await codec.decode([newer]) == [plain]

    await until(learnt, 1, "the key was learnt")


async def test_a_key_that_was_read_is_kept_whatever_becomes_of_it_in_the_store() -> None:
    store = Store()
    await store.current()
    store.ring = Keyring("k2", {"k2": OTHER})
    store.now += REREAD_SECONDS
    assert await store.keys.reread() == Keyring("k2", {"k1": KEY, "k2": OTHER})


async def test_a_process_that_is_asked_nothing_learns_a_new_key() -> None:
    store = Store()
    there = Keyring("k1", {"k1": KEY, "k2": OTHER})
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)
        store.now += seconds
        store.ring = None if len(waited) == 1 else there  # away when it is first looked at
        if len(waited) == 3:
            raise asyncio.CancelledError

    keys = StoredKeys(store.read, clock=lambda: store.now, pause=pause)
    await keys.keyring()
    with pytest.raises(asyncio.CancelledError):
        await keys.keep_renewing()
    assert waited == [RENEW_SECONDS, REREAD_SECONDS, RENEW_SECONDS]
    assert await keys.keyring() == there


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    monkeypatch.delenv(KEY_FILE_VARIABLE, raising=False)


def test_nothing_set_is_no_codec() -> None:
    assert keys_from_environment() is None


async def test_keys_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, DOCUMENT)
    keys = keys_from_environment()
    assert keys is not None
    assert await keys.keyring() == Keyring("k1", {"k1": KEY})


async def test_keys_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(DOCUMENT)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(file))
    keys = keys_from_environment()
    assert keys is not None
    assert await keys.keyring() == Keyring("k1", {"k1": KEY})


def test_two_places_are_one_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, DOCUMENT)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigurationError, match="are both set"):
        keys_from_environment()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"\xff\xfe", "not a JSON object"),
        (b"[" * MAX_KEY_FILE_BYTES, "not a JSON object"),
        (b" " * (MAX_KEY_FILE_BYTES + 1), "more than"),
        (b'{"current": "k1"}', "`current` names no key"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(file))
    keys = keys_from_environment()
    assert keys is not None
    with pytest.raises(ConfigurationError, match=complaint) as error:
        await keys.keyring()
    assert str(file) in error.value.message
