"""Comparison of the steps and gates of a manifest with those of the object in the cluster."""

from __future__ import annotations

from typing import Any, Final

# Of a version, or of its size, and no gate.
_FREE: Final = frozenset({"template", "replicas"})
# Annotations that a release reads: a bake, a limit of holds, the repository of reverts, notifications.
_READ: Final = ("tidegate.io/", "notifications.argoproj.io/")


def difference(requested: dict[str, Any], live: dict[str, Any]) -> str:
    """The first field of a Rollout that is not as in the live one, apart from pod template and replicas; else empty."""
    mine, theirs = _mapping(requested.get("spec")), _mapping(live.get("spec"))
    for field in sorted((mine.keys() | theirs.keys()) - _FREE):
        if mine.get(field) != theirs.get(field):
            return f"spec.{field}"
    mine, theirs = _annotations(requested), _annotations(live)
    for name in sorted(mine.keys() | theirs.keys()):
        if name.startswith(_READ) and mine.get(name) != theirs.get(name):
            return f"the annotation {name}"
    return ""


def _annotations(rollout: dict[str, Any]) -> dict[str, Any]:
    return _mapping(_mapping(rollout.get("metadata")).get("annotations"))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
