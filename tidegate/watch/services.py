"""Services of a Rollout without a release under way: a Service that lost its hash gets it back.

Argo's controller puts the hash back in its next reconciliation. Here a release of the stable version does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.contract import RolloutObject
from tidegate.manifests.network import HASH_LABEL, MANAGED_BY
from tidegate.watch.commands import Decision, Release, RunState, StartRelease
from tidegate.watch.request import mapping


def service_names(rollout: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the Services that a Rollout's strategy names; never raises."""
    strategy = mapping(mapping(rollout.get("spec")).get("strategy"))
    canary, blue_green = mapping(strategy.get("canary")), mapping(strategy.get("blueGreen"))
    names = (
        *(canary.get(field) for field in ("stableService", "canaryService")),
        *(blue_green.get(field) for field in ("activeService", "previewService")),
    )
    return tuple(name for name in names if isinstance(name, str) and name)


def decide_services(
    rollout: Mapping[str, Any], release: Release | None, services: Mapping[str, Mapping[str, Any]]
) -> Decision:
    """Commands for the Services of those names, while no release is under way. Never raises.

    The resourceVersion of the Service is part of the cause: each removal of the hash is another cause.
    """
    live, status = RolloutObject.of(dict(rollout)), mapping(rollout.get("status"))
    if release is not None and release.state is not RunState.ENDED:
        return Decision()
    own, available = mapping(rollout.get("metadata")).get("name"), status.get("availableReplicas")
    if not status.get("stableRS") or not isinstance(available, int) or available < 1:
        return Decision()
    for name, service in services.items():
        metadata, spec = mapping(service.get("metadata")), mapping(service.get("spec"))
        owner = mapping(metadata.get("annotations")).get(MANAGED_BY, own)
        if owner != own or mapping(spec.get("selector")).get(HASH_LABEL):
            continue
        key = f"service-{live.uid}-{name}-{metadata.get('uid')}-{metadata.get('resourceVersion')}"
        if status.get("phase") == "Healthy":
            return Decision((StartRelease(key, f"Service {name} lost the hash of the stable version"),))
        if release is not None and release.status.aborting and status.get("abort") is True:
            cause = release.status.cause
            return Decision((StartRelease(key, cause, aborted=True),))
    return Decision()
