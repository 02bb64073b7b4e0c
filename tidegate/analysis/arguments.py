"""Arguments of an analysis: bound from the Rollout's side, put into the metrics. Pure.

Source: argo-rollouts, analysis arguments. A value that comes from a Secret is never here: only the reference is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

HASH_LABEL = "rollouts-pod-template-hash"
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_KEYED = re.compile(r"^metadata\.(labels|annotations)\['([^']*)'\]$")
_METADATA_FIELDS = ("name", "namespace", "uid")
_INDEX = re.compile(r"\[(\d+)\]")


class SpecError(ValueError):
    """An analysis cannot be put together from its templates and arguments; the text is Argo's where Argo has one."""


def rollout_value(
    argument: Mapping[str, Any], rollout: Mapping[str, Any], *, stable_hash: str, latest_hash: str
) -> str:
    """Value of one argument that a Rollout supplies: given, a pod-template hash, or a field of the Rollout."""
    source = argument.get("valueFrom") or {}
    if source.get("podTemplateHashValue"):
        return stable_hash if source["podTemplateHashValue"] == "Stable" else latest_hash
    if source.get("fieldRef"):
        return field_value(str(source["fieldRef"].get("fieldPath", "")), rollout, latest_hash)
    return str(argument.get("value") or "")


def field_value(path: str, rollout: Mapping[str, Any], latest_hash: str) -> str:
    """Value at a downward-API path under `metadata`, or at a path into the Rollout's JSON.

    The Rollout itself carries no label with the hash of its newest pods: there the path means that hash.
    """
    if path.startswith("metadata"):
        return _metadata_value(path, rollout.get("metadata") or {}, latest_hash)
    found: Any = rollout
    for part in _INDEX.sub(r".\1", path).split("."):
        if isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, Mapping):
            found = found.get(part)
        else:
            found = None
    if found is None or isinstance(found, Mapping | list):
        raise SpecError(f"args: fieldPath {path!r} does not lead to a value of the Rollout")
    return json.dumps(found) if isinstance(found, bool) else str(found)


def _metadata_value(path: str, metadata: Mapping[str, Any], latest_hash: str) -> str:
    if keyed := _KEYED.match(path):
        values = metadata.get(keyed[1]) or {}
        if keyed[2] == HASH_LABEL and keyed[1] == "labels" and HASH_LABEL not in values:
            return latest_hash
        return str(values.get(keyed[2], ""))
    name = path.removeprefix("metadata.")
    if name in _METADATA_FIELDS:
        return str(metadata.get(name, ""))
    if name in ("labels", "annotations"):
        pairs = sorted((metadata.get(name) or {}).items())
        return "\n".join(f"{key}={json.dumps(value)}" for key, value in pairs)
    raise SpecError(f"args: fieldPath {path!r} is not supported; supported are metadata.name, .namespace, .uid, labels")


def merge_arguments(declared: Sequence[Mapping[str, Any]], supplied: Mapping[str, str]) -> list[dict[str, Any]]:
    """The templates' arguments, each once, with the Rollout's values put in.

    An argument from a Secret stays a reference whatever the Rollout says. Raises SpecError for two different values of
    one name, and for an argument that nobody gives a value.
    """
    merged: dict[str, dict[str, Any]] = {}
    for argument in declared:
        name = str(argument["name"])
        known = merged.setdefault(name, {"name": name})
        value = argument.get("value")
        if value is not None and known.get("value") not in (None, value):
            raise SpecError(
                f"Argument `{name}` specified multiple times with different values: '{known['value']}', '{value}'"
            )
        known |= {key: argument[key] for key in ("value", "valueFrom") if argument.get(key) is not None}
    for name, argument in merged.items():
        if name in supplied and "valueFrom" not in argument:
            argument["value"] = supplied[name]
        if "value" not in argument and "valueFrom" not in argument:
            raise SpecError(f"args.{name} was not resolved")
    return list(merged.values())


def substitute(metric: Mapping[str, Any], arguments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The metric with `{{args.NAME}}` replaced everywhere, once; arguments from Secrets stay placeholders.

    Raises SpecError for a placeholder that is none of the arguments.
    """
    values = {str(argument["name"]): argument.get("value") for argument in arguments}

    def replaced(match: re.Match[str]) -> str:
        inner = match[1].strip()
        name = inner.removeprefix("args.")
        if name == inner or name not in values:
            raise SpecError(f"failed to resolve {{{{{match[1]}}}}}")
        value = values[name]
        return match[0] if value is None else json.dumps(str(value))[1:-1]

    text = json.dumps(metric, ensure_ascii=False)
    document: dict[str, Any] = json.loads(_PLACEHOLDER.sub(replaced, text))
    return document
