"""Payloads of every kind that a client of another language, a mistake or an enemy may send."""

from __future__ import annotations

import json
from typing import Final

from temporalio.api.common.v1 import Payload

Kind = tuple[Payload, ...]


def plain(data: bytes | str, encoding: bytes | None = b"json/plain", **metadata: bytes) -> Payload:
    """A payload as it travels; an `encoding` of None is none at all."""
    content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return Payload(metadata=({} if encoding is None else {"encoding": encoding}) | metadata, data=content)


WORD: Final = '{"reason": "smells", "by": "alice"}'
_GOOD: Final = plain(WORD)
_ENCRYPTED: Final = {"encryption-cipher": b"AES-256-GCM", "encryption-key-id": b"k9"}
_MARKER: Final = "__temporal_external_storage_reference"

# What the SDK cannot decode, and the reason that can be read in it all the same; "" where there is none.
UNDECODABLE: Final[dict[str, tuple[Kind, str]]] = {
    "nothing in it": ((plain(b""),), ""),
    "no JSON": ((plain("checkout smells"),), "checkout smells"),
    "half of a JSON object": ((plain('{"reason": "smells", "by": "ali'),), "smells"),
    "a number of 5,000 digits": ((plain("1" * 5000),), "1" * 300),
    "a number of 5,000 digits in it": ((plain('{"reason": "smells", "at": %s}' % ("1" * 5000)),), "smells"),
    "half an emoji": ((plain('{"reason": "smells \\ud83d", "by": "alice"}'),), "smells \ufffd"),
    "half an emoji as text": ((plain('"smells \\ud83d"'),), "smells \ufffd"),
    "half an emoji in bytes": ((plain(b'{"reason": "smells \xed\xa0\xbd"}'),), "smells \ufffd\ufffd\ufffd"),
    "Latin-1": ((plain(b'{"reason": "caf\xe9 is down"}'),), "caf\ufffd is down"),
    "UTF-16": ((plain(WORD.encode("utf-16")),), ""),
    "a byte order mark": ((plain(b"\xef\xbb\xbf" + WORD.encode()),), "smells"),
    "nested 3,000 deep": ((plain('{"reason": "smells", "at": ' + "[" * 3000 + "]" * 3000 + "}"),), "smells"),
    "nested 50,000 deep": ((plain('{"reason": "smells", "at": ' + '{"a":' * 50_000),), "smells"),
    "protobuf without a type": ((plain(b"\x08\x96\x01", b"binary/protobuf"),), ""),
    "protobuf of an unknown type": ((plain(b"\xff\xfe\x01", b"binary/protobuf", messageType=b"acme.Abort"),), ""),
    "JSON of an unknown protobuf type": ((plain(WORD, b"json/protobuf", messageType=b"acme.Abort"),), "smells"),
    "JSON that is no such protobuf": (
        (plain(WORD, b"json/protobuf", messageType=b"google.protobuf.Duration"),),
        "smells",
    ),
    "an unknown encoding": ((plain(WORD, b"json/acme"),), "smells"),
    "an encoding without a name": ((plain(WORD, b""),), "smells"),
    "no encoding": ((plain(WORD, None),), "smells"),
    "an encoding that is no text": ((plain(WORD, b"\xff\xfe"),), "smells"),
    "a good argument and a broken one": ((_GOOD, plain(b"{")), "smells"),
    "a broken argument and a good one": ((plain(b"{"), _GOOD), "{"),
    "a good argument and one of an unknown encoding": ((_GOOD, plain(WORD, b"json/acme")), "smells"),
    "encrypted with an unknown key": ((plain(b"\x00" * 60, b"binary/encrypted", **_ENCRYPTED),), ""),
    "encrypted and nothing said of it": ((plain(b"\x00", b"binary/encrypted"),), ""),
    "encrypted, the key an unreadable name": (
        (plain(b"\x00" * 60, b"binary/encrypted", **{**_ENCRYPTED, "encryption-key-id": b"\xff"}),),
        "",
    ),
    "kept elsewhere": ((plain(WORD, **{_MARKER: b"true"}),), "smells"),
    "kept elsewhere, as it was marked before": ((plain(WORD, b"json/external-storage-reference"),), "smells"),
    "kept elsewhere, as a message": (
        (plain("{}", b"json/protobuf", messageType=b"temporal.api.sdk.v1.ExternalStorageReference"),),
        "",
    ),
}

# What can be decoded and is no message.
STRANGE: Final[dict[str, tuple[Kind, str]]] = {
    "no argument": ((), ""),
    "null": ((plain("null"),), ""),
    "binary/null": ((plain(b"", b"binary/null"),), ""),
    "bytes": ((plain(b"checkout smells", b"binary/plain"),), "checkout smells"),
    "bytes that are no text": ((plain(b"\x00\x01\xff\xfe", b"binary/plain"),), ""),
    "a text": ((plain('"checkout smells"'),), "checkout smells"),
    "a number": ((plain("42"),), ""),
    "an infinite number": ((plain("1e309"),), ""),
    "not a number": ((plain('{"reason": NaN}'),), "nan"),
    "a list": ((plain('["smells"]'),), ""),
    "fields of other types": ((plain('{"reason": {"a": [1]}, "by": 7}'),), "{'a': [1]}"),
    "a field of 4,000 digits": ((plain('{"reason": %s}' % ("1" * 4000)),), "1" * 1000),
    "5,000 fields": ((plain(json.dumps({"reason": "smells"} | {f"f{n}": n for n in range(5000)})),), "smells"),
    "a reason of 1.9 MB": ((plain(json.dumps({"reason": "s" * 1_900_000})),), "s" * 1000),
    "100 arguments": ((_GOOD,) * 100, "smells"),
    "control characters": (
        (plain('{"reason": "\\u001b]0;x\\u0007\\u202e\\u0000ok"}'),),
        "\ufffd]0;x\ufffd\ufffd\ufffdok",
    ),
    "a key twice": ((plain('{"reason": "no", "reason": "smells"}'),), "smells"),
}
KINDS: Final = UNDECODABLE | STRANGE
