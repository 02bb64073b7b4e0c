"""Valid keys and values of labels, in the words of Kubernetes (`k8s.io/apimachinery` v0.34, util/validation)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_NAME: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_NAME_TEXT: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character"
)
_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character"
)
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character"
)
_LONGEST: Final = 63
_LONGEST_SUBDOMAIN: Final = 253
_EMPTY: Final = "must be non-empty"


def labels_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Labels of an object; whatever is none, as an object of any shape may have, is left out."""
    metadata = manifest.get("metadata")
    found = metadata.get("labels") if isinstance(metadata, Mapping) else None
    labels = found.items() if isinstance(found, Mapping) else ()
    return {key: value for key, value in labels if isinstance(key, str) and isinstance(value, str)}


def key_problems(key: str) -> list[str]:
    """Problems of the key of a label or of an annotation; empty for a valid one."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return [
            f"a qualified name {_pattern(_NAME_TEXT, _NAME, 'MyName', 'my.name', '123-abc')} with an optional DNS "
            "subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    problems = [f"prefix part {each}" for each in _prefix_problems(prefix)] if slash else []
    if not name:
        problems.append(f"name part {_EMPTY}")
    problems += [f"name part {each}" for each in _too_long(name, _LONGEST)]
    if not re.fullmatch(_NAME, name):
        problems.append(f"name part {_pattern(_NAME_TEXT, _NAME, 'MyName', 'my.name', '123-abc')}")
    return problems


def value_problems(value: str) -> list[str]:
    """Problems of the value of a label; empty for a valid one."""
    problems = _too_long(value, _LONGEST)
    if not re.fullmatch(f"({_NAME})?", value):
        problems.append(_pattern(_VALUE_TEXT, f"({_NAME})?", "MyValue", "my_value", "12345"))
    return problems


def dns_label_problems(name: str) -> list[str]:
    """Problems of a name such as a container's (RFC 1123); empty for a valid one."""
    problems = _too_long(name, _LONGEST)
    if re.fullmatch(_LABEL, name):
        return problems
    if re.fullmatch(_SUBDOMAIN, name):
        return [*problems, "must not contain dots"]
    return [*problems, _pattern(_LABEL_TEXT, _LABEL, "my-name", "123-abc")]


def _prefix_problems(prefix: str) -> list[str]:
    if not prefix:
        return [_EMPTY]
    problems = _too_long(prefix, _LONGEST_SUBDOMAIN)
    if not re.fullmatch(_SUBDOMAIN, prefix):
        problems.append(_pattern(_SUBDOMAIN_TEXT, _SUBDOMAIN, "example.com"))
    return problems


def _too_long(text: str, longest: int) -> list[str]:
    return [f"must be no more than {longest} characters"] if len(text.encode()) > longest else []


def _pattern(text: str, pattern: str, *examples: str) -> str:
    """The text with its examples, as `validation.RegexError` writes them."""
    shown = " or ".join(f"'{each}', " for each in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"
