"""Arguments that a Rollout supplies to its analyses: given, a pod-template hash, or a field of the Rollout.

Source: argo-rollouts, analysis arguments; Kubernetes' downward API for paths under `metadata`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tidegate.analysis.arguments import SpecError
from tidegate.manifests.downward_api import FieldPath, path_problem
from tidegate.manifests.network import HASH_LABEL

_INDEX: Final = re.compile(r"\+?[0-9]{1,18}")
_SEPARATORS: Final = re.compile(r"[.\[\]]+")


def rollout_value(
    argument: Mapping[str, Any], rollout: Mapping[str, Any], *, stable_hash: str, latest_hash: str
) -> str:
    """Value of one argument that a Rollout supplies; one that says nothing is the empty text.

    Raises SpecError for a field path that leads nowhere.
    """
    source = argument.get("valueFrom") or {}
    hashes = {"Stable": stable_hash, "Latest": latest_hash}
    if (wanted := source.get("podTemplateHashValue")) is not None:
        return hashes.get(wanted, str(argument.get("value") or ""))
    if reference := source.get("fieldRef"):
        return field_value(str(reference.get("fieldPath", "")), rollout, latest_hash)
    return str(argument.get("value") or "")


def field_value(path: str, rollout: Mapping[str, Any], latest_hash: str) -> str:
    """Value at a downward-API path under `metadata`, or at a path into the Rollout's JSON.

    The Rollout itself carries no label with the hash of its newest pods: there the path means that hash. Raises
    SpecError for a path that is not supported, leads nowhere, or ends in a list or an object.
    """
    if path.startswith("metadata"):
        return _metadata_value(path, rollout.get("metadata") or {}, latest_hash)
    found: Any = rollout
    for section in filter(None, _SEPARATORS.split(path)):
        found = _inside(found, section, path)
    if found is None:
        raise SpecError(f"invalid path {path} in rollout")
    if isinstance(found, Mapping | list):
        raise SpecError(f"path {path} in rollout must terminate in a primitive value")
    return _text(found)


def _inside(found: Any, section: str, path: str) -> Any:
    if isinstance(found, Mapping):
        return found.get(section)
    if not isinstance(found, list):
        raise SpecError(f"invalid path {path} in rollout")
    if not _INDEX.fullmatch(section):
        raise SpecError(f"invalid index '{section}'")
    if int(section) >= len(found):
        raise SpecError(f"index {int(section)} out of range")
    return found[int(section)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _metadata_value(path: str, metadata: Mapping[str, Any], latest_hash: str) -> str:
    if problem := path_problem(path):
        raise SpecError(problem)
    field, key = FieldPath.of(path)
    found = metadata.get(field.removeprefix("metadata."))
    if key is not None:
        values = found or {}
        if field == "metadata.labels" and key == HASH_LABEL and HASH_LABEL not in values:
            return latest_hash
        return str(values.get(key, ""))
    if isinstance(found, Mapping):
        return "\n".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(found.items()))
    return str(found or "")
