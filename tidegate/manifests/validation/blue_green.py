"""The blue-green strategy as a whole: Services, delays, anti-affinity."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.rollout import BlueGreen
from tidegate.manifests.validation.strategies import SAME_SERVICES, anti_affinity_errors

_BLUE_GREEN: Path = ("spec", "strategy", "blueGreen")


def blue_green_errors(strategy: BlueGreen, history: int) -> Iterator[FieldError]:
    """Every reason for which Argo refuses a blue-green strategy, in Argo's order; `history` is revisionHistoryLimit."""
    if strategy.active_service == strategy.preview_service:
        yield FieldError((*_BLUE_GREEN, "activeService"), SAME_SERVICES.format("active", "preview"))
    limit = strategy.scale_down_delay_revision_limit
    if limit is not None and limit > history:
        detail = "This rollout's revision history limit can not be smaller than the rollout's scale down limit"
        yield FieldError((*_BLUE_GREEN, "scaleDownDelayRevisionLimit"), detail, remedy=f"at most {history}")
    if strategy.anti_affinity is not None:
        yield from anti_affinity_errors(strategy.anti_affinity, (*_BLUE_GREEN, "antiAffinity"))
