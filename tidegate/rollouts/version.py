"""Identity of a version of a Rollout: its pod template and its steps. All else can change while it is on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from tidegate.manifests.model import INT32
from tidegate.manifests.steps import CanaryStep
from tidegate.rollouts.template_hash import json_hash, pod_template_hash, steps_hash, template_hash


class Version(NamedTuple):
    """Hashes of what a pod template means and of a list of steps; an empty one stands for what is not known."""

    template_hash: str = ""
    step_hash: str = ""


def version_of(rollout: Mapping[str, Any]) -> Version:
    """The version that a Rollout object or manifest asks for; never raises, whatever stands in it."""
    spec = _mapping(rollout.get("spec"))
    steps = _mapping(_mapping(spec.get("strategy")).get("canary")).get("steps") or []
    return Version(template_hash(_mapping(spec.get("template"))), _steps_hash(steps))


def is_current(rollout: Mapping[str, Any]) -> bool:
    """True when `.status.currentPodHash` is of the template that the spec has now, whichever controller wrote it.

    One that has observed the generation knew the template, under whatever hash. A template that a Deployment lends
    changes without the generation; there, as after an edit that was not observed, the hash itself has to tell.
    """
    spec, status = _mapping(rollout.get("spec")), _mapping(rollout.get("status"))
    current, generation = status.get("currentPodHash"), _mapping(rollout.get("metadata")).get("generation")
    if not current:
        return False
    if not spec.get("workloadRef") and generation and status.get("observedGeneration") == str(generation):
        return True
    return bool(current == pod_template_hash(_mapping(spec.get("template")), collision_count(rollout)))


def collision_count(rollout: Mapping[str, Any]) -> int | None:
    """`.status.collisionCount`, which is part of the hash; None where there is none that could be."""
    count = _mapping(rollout.get("status")).get("collisionCount")
    return count if isinstance(count, int) and not isinstance(count, bool) and count in INT32 and count >= 0 else None


def _steps_hash(steps: Any) -> str:
    try:
        return steps_hash([CanaryStep.model_validate(step) for step in steps])
    except (ValidationError, TypeError):  # no release would take them: all that counts is that they are others
        return json_hash(steps)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
