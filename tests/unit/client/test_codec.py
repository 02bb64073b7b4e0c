"""The payload codec: what it keeps secret, what it detects, and what it leaves as it is."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from tests.workers.scripted_release import request
from tidegate.client import ConfigurationError, FixedKeys, Keyring, UnreadablePayloadError, data_converter
from tidegate.client.codec import MAX_ENCRYPTED_BYTES, NONCE_BYTES, PayloadEncryption, Unreadable
from tidegate.contract import ReleaseRequest

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def source(current: str = "k1", **keys: bytes) -> FixedKeys:
    return FixedKeys(Keyring(current, keys or {"k1": OLD}))


def codec(current: str = "k1", **keys: bytes) -> PayloadEncryption:
    return PayloadEncryption(source(current, **keys))


def plain(text: str = '"checkout"') -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


payloads = st.builds(
    Payload, metadata=st.dictionaries(st.text(max_size=20), st.binary(max_size=50), max_size=4), data=st.binary()
)


@given(st.lists(payloads, max_size=4), st.sampled_from(["k1", "k2"]))
async def test_whatever_was_encrypted_is_read_again(originals: list[Payload], current: str) -> None:
    ours = codec(current, k1=OLD, k2=NEW)
    encoded = await ours.encode(originals)
    assert await ours.decode(encoded) == originals
    assert [each.metadata["encryption-key-id"] for each in encoded] == [current.encode()] * len(originals)


async def test_nothing_of_a_payload_is_readable_and_no_two_encryptions_are_alike() -> None:
    ours = codec()
    one, two = await ours.encode([plain(), plain()])
    assert b"checkout" not in one.SerializeToString()
    assert b"json/plain" not in one.SerializeToString()
    assert one.data[:NONCE_BYTES] != two.data[:NONCE_BYTES]
    assert one.data[NONCE_BYTES:] != two.data[NONCE_BYTES:]


@given(data=st.data())
async def test_a_bit_that_was_turned_is_found(data: st.DataObject) -> None:
    ours = codec()
    [encoded] = await ours.encode([plain()])
    bit = data.draw(st.integers(0, 8 * len(encoded.data) - 1))
    content = bytearray(encoded.data)
    content[bit // 8] ^= 1 << bit % 8
    encoded.data = bytes(content)
    with pytest.raises(UnreadablePayloadError, match="'k1': it was altered"):
        await ours.decrypt(encoded)


@given(st.integers(0, 40))
async def test_what_was_cut_is_found(length: int) -> None:
    ours = codec()
    [encoded] = await ours.encode([plain()])
    encoded.data = encoded.data[:length]
    with pytest.raises(UnreadablePayloadError, match="it was altered"):
        await ours.decrypt(encoded)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("encryption-key-id", b"k2", "'k2': it was altered"),  # the same bytes under another id
        ("encryption-cipher", b"AES-128-CBC", "its cipher is not known"),
        ("encryption-key-id", b"k9", "'k9': this key is not known"),
        ("encryption-key-id", b"\xff\xfe", "this key is not known"),
    ],
)
async def test_what_stands_beside_the_content_is_checked(field: str, value: bytes, complaint: str) -> None:
    ours = codec("k1", k1=OLD, k2=OLD)
    [encoded] = await ours.encode([plain()])
    encoded.metadata[field] = value
    with pytest.raises(UnreadablePayloadError, match=complaint):
        await ours.decrypt(encoded)


async def test_another_key_under_the_same_id_reads_nothing() -> None:
    [encoded] = await codec("k1", k1=OLD).encode([plain()])
    with pytest.raises(UnreadablePayloadError, match="another key of that id"):
        await codec("k1", k1=NEW).decrypt(encoded)


async def test_an_old_key_stays_readable_and_is_no_longer_written_with() -> None:
    [old] = await codec("k1", k1=OLD).encode([plain()])
    rotated = codec("k2", k1=OLD, k2=NEW)
    assert await rotated.decode([old]) == [plain()]
    [new] = await rotated.encode([plain()])
    assert new.metadata["encryption-key-id"] == b"k2"


async def test_what_is_not_encrypted_passes() -> None:
    untouched = [plain(), Payload(), Payload(metadata={"encoding": b"binary/null"})]
    assert await codec().decode(untouched) == untouched


async def test_what_no_history_can_hold_is_not_decrypted() -> None:
    [encoded] = await codec().encode([plain()])
    encoded.data += bytes(MAX_ENCRYPTED_BYTES)
    with pytest.raises(UnreadablePayloadError, match="more than"):
        await codec().decrypt(encoded)


async def test_an_unknown_key_is_named_where_the_value_is_asked_for_and_the_rest_is_read() -> None:
    theirs, ours = data_converter(source("k2", k2=NEW)), data_converter(source())
    [external_changes] = await theirs.encode([request()])
    [own] = await ours.encode(["checkout"])
    with pytest.raises(UnreadablePayloadError) as error:
        await ours.decode([external_changes], [ReleaseRequest])
    assert "'k2'" in error.value.message
    for key in (OLD, NEW):
        assert base64.b64encode(key).decode() not in str(error.value)
        assert repr(key) not in str(error.value)
    assert await ours.decode([external_changes, own], [Any, str]) == [Unreadable("k2"), "checkout"]


async def test_without_the_codec_values_are_readable_json_and_what_is_encrypted_says_so() -> None:
    off = data_converter()
    [encoded] = await off.encode([request()])
    assert [encoded] == await pydantic_data_converter.encode([request()])
    assert await off.decode([encoded], [ReleaseRequest]) == [request()]
    [encrypted] = await data_converter(source()).encode([request()])
    with pytest.raises(UnreadablePayloadError, match="'k1'"):
        await off.decode([encrypted], [ReleaseRequest])


async def test_the_text_of_a_failure_is_encrypted_and_read_again() -> None:
    ours, failure = data_converter(source()), Failure()
    await ours.encode_failure(ApplicationError("checkout: p99 is 900 ms", {"service": "checkout"}), failure)
    assert b"checkout" not in failure.SerializeToString()
    error = await ours.decode_failure(failure)
    assert isinstance(error, ApplicationError)
    assert error.message == "checkout: p99 is 900 ms"
    assert error.details == ({"service": "checkout"},)


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "`current` names no key; the keys are none"),
        ({"k1": encoded(OLD)}, "`current` names no key; the keys are k1"),
        ({"current": "k2", "k1": encoded(OLD)}, "`current` names no key; the keys are k1"),
        ({"current": "k1", "k1": encoded(OLD[:16])}, "key k1 is not the base64 of 32 bytes"),
        ({"current": "k1", "k1": "not base64!"}, "key k1 is not the base64 of 32 bytes"),
        ({"current": "k1", "k1": 5}, "key k1 is not the base64 of 32 bytes"),
        ({"current": "k 1", "k 1": encoded(OLD)}, "'k 1' is no key id"),
    ],
)
def test_bad_keys_are_named_and_never_shown(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Keyring.parse(fields, "secret/tidegate/codec")
    assert error.value.message.startswith("secret/tidegate/codec: ")
    assert complaint in error.value.message
    assert not any(str(value) in error.value.message for name, value in fields.items() if name == "k1")


def test_a_keyring_shows_no_key() -> None:
    assert repr(OLD) not in repr(source())
    assert "k1" in repr(source())
