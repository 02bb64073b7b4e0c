"""Deployment: what a Rollout with `workloadRef` takes from it; everything else is kept as it is."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from tidegate.manifests.model import ObjectMeta, OpenModel


class DeploymentSpec(OpenModel):
    """The pod template, and the selector that finds its pods."""

    template: Mapping[str, JsonValue] = {}
    selector: Mapping[str, JsonValue] = {}


class Deployment(OpenModel):
    """An apps/v1 Deployment."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
