"""The need of an Experiment object for a workflow of its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.experiments.status import ExperimentStatus
from tidegate.watch.request import mapping


def needs_workflow(experiment: Mapping[str, Any]) -> bool:
    """True for an Experiment that is not over, or that has pods although it is.

    One that a Rollout owns belongs to a step, and one that is being deleted needs nothing.
    """
    metadata = mapping(experiment.get("metadata"))
    if metadata.get("deletionTimestamp") or _is_of_rollout(metadata):
        return False
    status = ExperimentStatus.read(experiment.get("status"))
    return not status.is_over or any(each.replicas for each in status.template_statuses)


def _is_of_rollout(metadata: Mapping[str, Any]) -> bool:
    owners = metadata.get("ownerReferences")
    found = owners if isinstance(owners, list) else []
    return any(isinstance(each, Mapping) and each.get("kind") == "Rollout" for each in found)
