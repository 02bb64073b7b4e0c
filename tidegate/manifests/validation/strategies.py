"""Checks that are the same for every strategy, in Argo's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.rollout import AntiAffinity

SAME_SERVICES: Final = (
    "This rollout uses the same service for the {} and {} services, but two different services are required."
)


def anti_affinity_errors(anti_affinity: AntiAffinity, path: Path) -> Iterator[FieldError]:
    """Errors of an antiAffinity at `path`."""
    preferred = anti_affinity.preferred_during_scheduling_ignored_during_execution
    required = anti_affinity.required_during_scheduling_ignored_during_execution
    if (preferred is None) == (required is None):
        yield FieldError(path, "AntiAffinity must have exactly one strategy listed")
    if preferred is not None and not 1 <= preferred.weight <= 100:
        at = (*path, "preferredDuringSchedulingIgnoredDuringExecution", "weight")
        argo_path = ("spec", "strategy", "antiAffinity", "weight")
        yield FieldError(at, "AntiAffinity weight must be between 1-100", argo_path=argo_path)
