"""A notice for tests of the services that carry it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tidegate.contract import Notification


def notification(**changes: Any) -> Notification:
    told = Notification(
        id="notice/default/payments/checkout/7/on-rollout-aborted/0123456789abcdef",
        trigger="on-rollout-aborted",
        service="slack",
        recipient="releases",
        at=datetime.now(UTC),
        reason="RolloutAborted",
        message="Rollout aborted update to revision 7: error-rate 0.2 > 0.05",
        cluster="default",
        namespace="payments",
        name="checkout",
        revision=7,
        phase="Degraded",
        weight=20,
        images={"checkout": "registry/checkout:v7"},
    )
    return told.model_copy(update=changes)
