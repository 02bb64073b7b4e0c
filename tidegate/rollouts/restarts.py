"""Pods that `spec.restartAt` asks to be replaced: which of them may go now.

Source: argo-rollouts, restart of pods: what is older than restartAt goes, never more than maxUnavailable at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class OldPod:
    """A pod from before the restart, by its UID."""

    uid: str
    created_at: datetime
    ready: bool


def restart_due(rollout: Mapping[str, Any]) -> datetime | None:
    """`spec.restartAt` while `status.restartedAt` says of no restart as late as that; None where it is no time."""
    wanted = parse_timestamp(_mapping(rollout.get("spec")).get("restartAt"))
    done = parse_timestamp(_mapping(rollout.get("status")).get("restartedAt"))
    return wanted if wanted is not None and (done is None or done < wanted) else None


def parse_timestamp(value: Any) -> datetime | None:
    """A time as an object holds it (RFC 3339), None for anything else."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return read.astimezone(UTC) if read is not None and read.tzinfo is not None else None


def may_go(old: Iterable[OldPod], missing: int, unavailable: int) -> list[OldPod]:
    """The pods to delete now, the oldest first.

    `missing` are the pods that the ReplicaSets want and that are not available. At most `unavailable` may be, one at
    least; a pod that is not ready is one of those already, and so may always go.
    """
    in_order = sorted(old, key=lambda pod: (pod.created_at, pod.uid))
    room = max(0, max(1, unavailable) - missing)
    ready = [pod for pod in in_order if pod.ready]
    return [pod for pod in in_order if not pod.ready] + ready[:room]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
