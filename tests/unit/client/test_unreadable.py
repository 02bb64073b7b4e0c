"""What is made of payloads that cannot be read: fast, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tests.workers.payload_kinds import KINDS, UNDECODABLE, WORD, plain
from tidegate.client import UnreadablePayloadError, data_converter
from tidegate.client.codec import Payloads
from tidegate.contract import Message, Unreadable, parse_message, read_leniently
from tidegate.manifests.plain_text import harmless, harmless_values, one_line


def test_the_kinds_differ() -> None:
    seen = {b"".join(each.SerializeToString(deterministic=True) for each in kind) for kind, _ in KINDS.values()}
    assert len(seen) == len(KINDS)


@pytest.mark.parametrize("kind", UNDECODABLE)
async def test_what_cannot_be_decoded_is_no_error_where_anything_will_do(kind: str) -> None:
    payloads, reason = UNDECODABLE[kind]
    values = await data_converter().decode(payloads)
    assert [type(each) for each in values].count(Unreadable) >= 1
    assert parse_message(values[0]).reason == reason


@pytest.mark.parametrize("kind", UNDECODABLE)
async def test_what_cannot_be_decoded_is_an_error_where_a_type_is_expected(kind: str) -> None:
    payloads, _ = UNDECODABLE[kind]
    with pytest.raises((KeyError, RuntimeError, ValueError, UnreadablePayloadError)):
        await data_converter().decode(payloads, [Message] * len(payloads))


async def test_a_raw_value_and_a_readable_payload_are_what_they_were() -> None:
    raw, message = Payloads().from_payloads([plain("{"), plain(WORD)], [RawValue, Message])
    assert (raw, message) == (RawValue(plain("{")), Message(by="alice", reason="smells"))


@given(
    st.builds(Payload, metadata=st.dictionaries(st.text(max_size=9), st.binary(max_size=9)), data=st.binary()),
    st.sampled_from([b"json/plain", b"json/protobuf", b"binary/protobuf", b"binary/plain", b"binary/null", None]),
)
async def test_no_payload_makes_a_message_raise_and_what_it_says_can_be_stored(
    payload: Payload, encoding: bytes | None
) -> None:
    if encoding is not None:
        payload.metadata["encoding"] = encoding
    [value] = await data_converter().decode([payload])
    message = parse_message(value)
    assert await data_converter().decode(await data_converter().encode([message]), [Message]) == [message]
    assert harmless(message.reason) == message.reason


@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_value_makes_a_message_raise(value: object) -> None:
    message = parse_message(value)
    assert message.model_dump_json()
    assert len(message.reason) <= 1000


@pytest.mark.parametrize("data", [b'{"full": true', b'{"full": true, "x": "\\ud83d"}', b"full: true"])
def test_a_promotion_past_all_gates_is_never_read_into_what_cannot_be_decoded(data: bytes) -> None:
    assert not parse_message(Unreadable(data=data)).full


@pytest.mark.parametrize("field", ["status.promoteFull", "spec.strategy", "", 1, None, ["spec.paused"]])
def test_only_a_field_that_can_ask_is_taken_for_one(field: object) -> None:
    known = field == "status.promoteFull"
    assert (parse_message({"field": field}).field is not None) == known


def test_what_is_read_leniently_is_bounded() -> None:
    assert read_leniently(b'{"reason": "smells", ' + b'"x": [' * 2_000_000) == {"reason": "smells"}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("\x9b31m\x07\x00\r", "\ufffd31m\ufffd\ufffd\ufffd"),
        ("one\ntwo\tthree\r\nfour", "one\ntwo\tthree\nfour"),
        ("\u202etxt.exe\u2066\u200f", "\ufffdtxt.exe\ufffd\ufffd"),
        ("half \ud83d, whole \U0001f600, family \U0001f468\u200d\U0001f469", None),
        (
            "Z\u00fcrich \u6771\u4eac \u0645\u0635\u0631 a\u00a0b",
            "Z\u00fcrich \u6771\u4eac \u0645\u0635\u0631 a\u00a0b",
        ),
        ("hidden \U000e0041\U000e0042", "hidden \ufffd\ufffd"),
    ],
)
def test_only_what_acts_on_a_reader_is_taken_out(text: str, seen: str | None) -> None:
    assert harmless(text) == (seen if seen is not None else text.replace("\ud83d", "\ufffd"))


@given(st.text(st.characters()))
def test_harmless_text_can_be_sent_shown_and_is_harmless(text: str) -> None:
    once = harmless(text)
    assert once.encode().decode() == once
    assert harmless(once) == once
    assert "\n" not in one_line(text)


def test_texts_within_data_are_made_harmless_as_well() -> None:
    assert harmless_values({"a\x1b": ["\x1b", 1, None, {"b": "\x07"}]}) == {
        "a\ufffd": ["\ufffd", 1, None, {"b": "\ufffd"}]
    }
