"""What makes a version of a Rollout: its pod template and its steps. All else can change while it is on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from tidegate.canary.template_hash import json_hash, pod_template_hash, steps_hash
from tidegate.manifests.steps import CanaryStep


class Version(NamedTuple):
    """Argo's hashes of a pod template and of a list of steps; an empty one stands for what is not known."""

    pod_hash: str = ""
    step_hash: str = ""


def version_of(rollout: Mapping[str, Any]) -> Version:
    """The version that a Rollout object or manifest asks for; never raises, whatever stands in it."""
    spec = _mapping(rollout.get("spec"))
    steps = _mapping(_mapping(spec.get("strategy")).get("canary")).get("steps") or []
    return Version(pod_template_hash(_mapping(spec.get("template"))), _steps_hash(steps))


def _steps_hash(steps: Any) -> str:
    try:
        return steps_hash([CanaryStep.model_validate(step) for step in steps])
    except (ValidationError, TypeError):  # no release would take them: all that counts is that they are others
        return json_hash(steps)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
