"""What Temporal stores of a payload: JSON by pydantic, and with keys encrypted with AES-256-GCM.

A payload that cannot be decrypted is left as it is, and the error comes where its value is asked for. So a message
that nobody can read neither blocks a release nor is lost (an unreadable abort is an abort), while a result that
cannot be read stops whoever needs it, with the key's id.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
)

from tidegate.client.errors import TidegateError
from tidegate.client.keyring import Keyring, KeySource, keys_from_environment

log = structlog.get_logger(__name__)

ENCODING: Final = b"binary/encrypted"
CIPHER: Final = b"AES-256-GCM"
NONCE_BYTES: Final = 12
# Twice what a Temporal server takes by default: nothing larger can have come from a history.
MAX_ENCRYPTED_BYTES: Final = 4 * 1024 * 1024
_ENCODING_FIELD: Final = "encoding"
_CIPHER_FIELD: Final = "encryption-cipher"
_KEY_FIELD: Final = "encryption-key-id"


class UnreadablePayloadError(TidegateError):
    """A payload is encrypted and cannot be decrypted. The text names the key's id, never a key or a content."""


@dataclass(frozen=True)
class Unreadable:
    """The value of an encrypted payload where any value will do, as in the argument of a signal."""

    key_id: str


class PayloadEncryption(PayloadCodec):
    """Encrypts each payload, its own metadata included, with the current key and a nonce of its own."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads encrypted. Raises what the source of the keys raises."""
        ring = await self._source.keyring()
        return [_encrypted(payload, ring) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads decrypted; what is not encrypted, or cannot be decrypted, as it is.

        Waits for no store: an abort must not. A key that is not known is looked for in the background.
        """
        return [await self._readable(payload) for payload in payloads]

    async def decrypt(self, payload: Payload) -> Payload:
        """One payload decrypted, or as it is when it is not encrypted; a key that is not known is looked for first.

        Raises UnreadablePayloadError, and what the source of the keys raises.
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


class Payloads(CompositePayloadConverter):
    """Values as JSON by pydantic, and a clear error for what is encrypted."""

    def __init__(self) -> None:
        super().__init__(*PydanticPayloadConverter().converters.values(), _EncryptedPayloads())


def data_converter(keys: KeySource | None = None) -> DataConverter:
    """What everything that speaks to Temporal converts values with; encrypted with `keys`, in the clear without.

    With keys, failures are encrypted as well: their messages and stack traces quote manifests and measurements.
    """
    plain = DataConverter(payload_converter_class=Payloads)
    if keys is None:
        return plain
    return replace(
        plain,
        payload_codec=PayloadEncryption(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
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
    """What decryption checks beside the content: a payload cannot be passed off as another key's or cipher's."""
    return b"\n".join((ENCODING, CIPHER, key_id))


def _key_id(payload: Payload) -> str:
    return payload.metadata.get(_KEY_FIELD, b"").decode("utf-8", "replace")[:64]
