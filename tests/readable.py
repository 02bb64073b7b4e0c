"""What can be read in a protobuf message, as a server holds it."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message


def places(message: Message, word: str) -> set[str]:
    """Names of the fields in which a word stands; those of a map count as the map."""
    found: set[str] = set()
    for field, value in message.ListFields():
        in_map = isinstance(value, Mapping)
        for each in value.values() if in_map else value if field.is_repeated else [value]:
            if isinstance(each, Message):
                inner = places(each, word)
                found |= {field.name} if inner and in_map else inner
            elif word in (each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each)):
                found.add(field.name)
    return found
