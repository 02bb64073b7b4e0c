"""Hashes by which ReplicaSets and step lists are told apart: Argo's, so that both controllers find the same objects.

Argo hashes the JSON that Go writes of the typed object, which is not the JSON of the manifest: fields come in the order
of their declaration, empty ones are left out or written by rules of their type, quantities are brought to one form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache

from pydantic import JsonValue

from tidegate.manifests.pod_template.defaults import with_defaults
from tidegate.manifests.pod_template.quantity import canonical_quantity
from tidegate.manifests.pod_template.types import ROOT, SCALARS, Field, fields_of
from tidegate.manifests.steps import CanaryStep

_DIGITS = 16
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels and no look-alikes, so that no word or doubt can arise
_ZERO: Mapping[str, JsonValue] = {"string": "", "int": 0, "bool": False, "Quantity": "0", "IntOrString": 0}
# Go escapes what could end a script element or a JavaScript line.
_ESCAPES = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"})


def pod_template_hash(template: Mapping[str, JsonValue], collision_count: int | None = None) -> str:
    """Value of the label `rollouts-pod-template-hash` for a pod template: 6 to 10 letters and digits.

    `collision_count` is the Rollout's status field of that name, set when two templates had one hash.
    Fields that the table does not know count too, in alphabetical order after the known ones.
    """
    return _label(json.dumps(template, separators=(",", ":")), collision_count)


def as_go_writes(template: Mapping[str, JsonValue]) -> JsonValue:
    """The template as Go writes it: known fields in their order, empty ones left out, quantities in their form."""
    return _struct(template, ROOT)


def template_hash(template: Mapping[str, JsonValue]) -> str:
    """Hash of what a pod template means: the same whichever defaults an API server has filled into it.

    It tells versions apart, and is no label: that is `pod_template_hash`, which differs with what stands in the text.
    """
    return _meaning(json.dumps(template, separators=(",", ":")))


# A template is compared again and again while it is brought out, and working out its hashes takes Python some ten
# milliseconds for a large one: they are kept for the newest templates.
@lru_cache(maxsize=64)
def _label(text: str, collision_count: int | None) -> str:
    written = go_json(as_go_writes(json.loads(text)))
    return _hash(written, b"" if collision_count is None else collision_count.to_bytes(8, "little"))


@lru_cache(maxsize=64)
def _meaning(text: str) -> str:
    meant = go_json(as_go_writes(with_defaults(json.loads(text))))
    return hashlib.sha256(meant.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def steps_hash(steps: Sequence[CanaryStep]) -> str:
    """Value of `status.currentStepHash`: changes whenever the list of canary steps does."""
    return json_hash([step.model_dump(mode="json", by_alias=True, exclude_defaults=True) for step in steps])


def json_hash(value: JsonValue) -> str:
    """Argo's hash of a value in the JSON that Go writes of it."""
    return _hash(go_json(value))


def go_json(value: JsonValue) -> str:
    """JSON text as Go's `encoding/json` writes it: no spaces, and `<`, `>`, `&`, U+2028 and U+2029 escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)


def _hash(text: str, suffix: bytes = b"") -> str:
    state = _FNV_OFFSET
    for byte in text.encode("utf-8", "surrogatepass") + suffix:
        state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(state))


def _struct(value: JsonValue | Mapping[str, JsonValue], struct: str) -> JsonValue:
    """A struct as Go writes it. What is no object is passed on: the API server, not the hash, refuses it."""
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        return value
    return dict(_written_fields(value, struct))


def _written_fields(value: Mapping[str, JsonValue], struct: str) -> Iterator[tuple[str, JsonValue]]:
    fields, never_left_out = fields_of(struct), _never_left_out(struct)
    for name, field in fields.items():
        if name in value or name in never_left_out:
            given = value.get(name)
            if _is_written(field, given):
                yield name, _field(given, field)
    for name in sorted(value.keys() - fields.keys()):
        yield name, value[name]


@cache
def _never_left_out(struct: str) -> frozenset[str]:
    """Fields that are written where nothing is given."""
    return frozenset(name for name, field in fields_of(struct).items() if _is_written(field, None))


def _is_written(field: Field, given: JsonValue) -> bool:
    """Go's `omitempty`: nil pointers, empty lists and maps and zero scalars are left out, embedded structs never."""
    if field.always:
        return True
    if field.shape == "*" or field.type == "Time":
        return given is not None
    if field.shape:
        return bool(given)
    return bool(given) or field.type not in SCALARS or field.type == "Quantity"


def _field(given: JsonValue, field: Field) -> JsonValue:
    if field.shape == "[]":
        return [_single(item, field.type) for item in given] if isinstance(given, list) else given
    if field.shape == "{}":
        return {key: _single(given[key], field.type) for key in sorted(given)} if isinstance(given, dict) else given
    if field.shape == "*" and given is None:
        return None
    return _single(given, field.type)


def _single(given: JsonValue, kind: str) -> JsonValue:
    if kind not in SCALARS:
        return _struct(given, kind)
    if given is None:
        return _ZERO.get(kind)
    if kind == "Quantity":
        return _quantity(given)
    return given


def _quantity(given: JsonValue) -> JsonValue:
    try:
        return canonical_quantity(str(given))
    except ValueError:
        return given
