"""Moments as Kubernetes writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(timestamp: datetime) -> str:
    """A timestamp in UTC, to the second (metav1.Time); a naive one is taken for UTC."""
    aware = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
