"""Conversion of the payloads that Temporal stores: JSON by pydantic, and with keys encrypted with AES-256-GCM.

A payload that cannot be decrypted is left as it is, and the error comes where its value is needed. Where any value will
do, as in the arguments of a signal, an update or a start, there is no error but an `Unreadable` in its place: on a
decoding error the SDK drops a message, and repeats the task of a start without end. So an unreadable message neither
blocks a release nor is lost (an unreadable abort is an abort). An unreadable result stops its reader.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
    PayloadCodec,
)

from tidegate.client.errors import TidegateError
from tidegate.client.keyring import Keyring, KeySource, keys_from_environment
from tidegate.client.plain_failures import EncryptedPlainFailures, PlainFailures
from tidegate.contract import Unreadable
from tidegate.manifests.plain_text import harmless

log = structlog.get_logger(__name__)

ENCODING: Final = b"binary/encrypted"
CIPHER: Final = b"AES-256-GCM"
NONCE_BYTES: Final = 12
# Twice what a Temporal server takes by default: nothing larger can have come from a history.
MAX_ENCRYPTED_BYTES: Final = 4 * 1024 * 1024
# What the SDK's external storage marks its references with (temporalio 1.35, converter/_extstore.py).
REFERENCE_MARKER: Final = "__temporal_external_storage_reference"
REFERENCE_ENCODING: Final = b"json/external-storage-reference"
REFERENCE_MESSAGE: Final = b".ExternalStorageReference"
_LONGEST_WHY: Final = 300
_ENCODING_FIELD: Final = "encoding"
_CIPHER_FIELD: Final = "encryption-cipher"
_KEY_FIELD: Final = "encryption-key-id"


class UnreadablePayloadError(TidegateError):
    """A payload is encrypted and cannot be decrypted. The text names the key's id, never a key or a content."""


class PayloadEncryption(PayloadCodec):
    """Encrypts each payload, its own metadata included, with the current key and a nonce of its own."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads encrypted. Raises what the source of the keys raises."""
        ring = await self._source.keyring()
        return [_encrypted(payload, ring) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads decrypted; a payload that is not encrypted, or cannot be decrypted, as it is.

        Waits for no store: an abort must not. An unknown key is read in the background.
        """
        return [await self._readable(payload) for payload in payloads]

    async def decrypt(self, payload: Payload) -> Payload:
        """One payload decrypted, or as it is when it is not encrypted; an unknown key is read from the store first.

        Raises UnreadablePayloadError, and the errors of the source of the keys.
        """
        if not _is_encrypted(payload):
            return payload
        ring = await self._source.keyring()
        if _key_id(payload) not in ring.keys:
            ring = await self._source.reread()
        return _opened(payload, ring)

    async def _readable(self, payload: Payload) -> Payload:
        if not _is_encrypted(payload):
            return payload
        ring = await self._source.keyring()
        if _key_id(payload) not in ring.keys:
            self._source.renew()
        try:
            return _opened(payload, ring)
        except UnreadablePayloadError as error:
            log.error("unreadable payload", error=error.message)
            return payload


class _EncryptedPayloads(EncodingPayloadConverter):
    """Payloads that are still encrypted when their value is asked for."""

    @property
    def encoding(self) -> str:
        return ENCODING.decode()

    def to_payload(self, value: Any) -> Payload | None:
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        if type_hint is None or type_hint is Any:
            return Unreadable(_key_id(payload))
        raise unreadable(payload, "this process could not decrypt it")


# The SDK makes converters for each activation of a workflow: what pydantic has worked out of a type is to be kept.
_CONVERTERS: Final = (*PydanticPayloadConverter().converters.values(), _EncryptedPayloads())


class Payloads(CompositePayloadConverter):
    """Values as JSON by pydantic; `Unreadable` for what cannot be read and may be anything, a clear error otherwise."""

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """The values. Raises what the converters raise for a payload of which a type is expected."""
        hints = itertools.chain(type_hints or (), itertools.repeat(None))
        return [self._value(payload, hint) for payload, hint in zip(payloads, hints, strict=False)]

    def _value(self, payload: Payload, hint: Any) -> Any:
        may_be_anything = hint is None or hint is Any
        try:
            [value] = super().from_payloads([payload], None if may_be_anything else [hint])
        except Exception as error:  # whatever the converters of all encodings make of what anybody may send
            if not may_be_anything:
                raise
            return Unreadable(why=_why(payload, error), data=payload.data)
        return value


class _Converter(DataConverter):
    """A converter that ignores references of a payload to an external storage.

    The SDK raises for such a reference when no storage is set up, before any handler runs, at each attempt of the task:
    with one such signal any sender could stop a release for good.
    """

    async def _decode_reference_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(data=each.data) if _refers_elsewhere(each) else each for each in payloads]


def data_converter(keys: KeySource | None = None) -> DataConverter:
    """The converter of all Temporal clients and workers; encrypted with `keys`, in the clear without.

    With keys, failures are encrypted as well: their messages and stack traces quote manifests and measurements.
    """
    plain = _Converter(payload_converter_class=Payloads, failure_converter_class=PlainFailures)
    if keys is None:
        return plain
    return replace(
        plain,
        payload_codec=PayloadEncryption(keys),
        failure_converter_class=EncryptedPlainFailures,
    )


def data_converter_from_environment() -> DataConverter:
    """The same with the keys of a command or a CI job. Raises ConfigurationError; see `keys_from_environment`."""
    return data_converter(keys_from_environment())


def unreadable(payload: Payload, why: str) -> UnreadablePayloadError:
    """The error for an encrypted payload."""
    return UnreadablePayloadError(
        f"a payload is encrypted with key {_key_id(payload)!r}: {why}",
        "give this process the key under that id; docs/secrets.md says where",
    )


def _why(payload: Payload, error: Exception) -> str:
    encoding = payload.metadata.get(_ENCODING_FIELD, b"").decode("utf-8", "replace")[:64]
    text = error.errors(include_url=False, include_input=False)[0]["msg"] if isinstance(error, ValidationError) else ""
    what = f"{len(payload.data)} bytes with the encoding {encoding!r}" if encoding else "a payload without an encoding"
    return harmless(f"{what}: {text or type(error).__name__}")[:_LONGEST_WHY]


def _refers_elsewhere(payload: Payload) -> bool:
    encoding, kind = payload.metadata.get(_ENCODING_FIELD, b""), payload.metadata.get("messageType", b"")
    return REFERENCE_MARKER in payload.metadata or encoding == REFERENCE_ENCODING or kind.endswith(REFERENCE_MESSAGE)


def _encrypted(payload: Payload, ring: Keyring) -> Payload:
    metadata = {_ENCODING_FIELD: ENCODING, _CIPHER_FIELD: CIPHER, _KEY_FIELD: ring.current.encode()}
    nonce = os.urandom(NONCE_BYTES)
    content = payload.SerializeToString()
    sealed = AESGCM(ring.keys[ring.current]).encrypt(nonce, content, _associated(metadata[_KEY_FIELD]))
    return Payload(metadata=metadata, data=nonce + sealed)


def _is_encrypted(payload: Payload) -> bool:
    return payload.metadata.get(_ENCODING_FIELD) == ENCODING


def _opened(payload: Payload, ring: Keyring) -> Payload:
    key = ring.keys.get(_key_id(payload))
    if key is None:
        raise unreadable(payload, "this key is not known")
    return _decrypted(payload, key)


def _decrypted(payload: Payload, key: bytes) -> Payload:
    if payload.metadata.get(_CIPHER_FIELD) != CIPHER:
        raise unreadable(payload, "its cipher is not known")
    if len(payload.data) > MAX_ENCRYPTED_BYTES:
        raise unreadable(payload, f"it has more than {MAX_ENCRYPTED_BYTES} bytes")
    nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
    try:
        return Payload.FromString(AESGCM(key).decrypt(nonce, sealed, _associated(payload.metadata[_KEY_FIELD])))
    except (InvalidTag, DecodeError, ValueError) as error:  # ValueError: too short for a nonce
        raise unreadable(payload, "it was altered, or encrypted with another key of that id") from error


def _associated(key_id: bytes) -> bytes:
    """Associated data of the cipher: a payload cannot be passed off as another key's or cipher's."""
    return b"\n".join((ENCODING, CIPHER, key_id))


def _key_id(payload: Payload) -> str:
    return payload.metadata.get(_KEY_FIELD, b"").decode("utf-8", "replace")[:64]
