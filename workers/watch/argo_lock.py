"""Lock of Argo's controller: the Lease that its leader renews, which says that it acts on the same Rollouts.

Source: client-go, tools/leaderelection. A leader renews `spec.renewTime` and empties `spec.holderIdentity` when it
stops; the Lease of one that was killed counts for `spec.leaseDurationSeconds` after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from activities.kubernetes.client import LEASES, Cluster
from tidegate.contract.instances import ControllerInstance

DEFAULT_SECONDS: Final = 15
SKEW: Final = timedelta(seconds=15)
"""Difference between this clock and that of the leader, for which its Lease counts longer."""


class ArgoLock:
    """Looks for a leader of Argo's controllers that has the instance id of this watcher."""

    def __init__(self, cluster: Cluster, instance: ControllerInstance, namespaces: tuple[str, ...]) -> None:
        """`namespaces` are those in which such a controller may run; without any nothing is looked at."""
        self._cluster = cluster
        self._instance = instance
        self._namespaces = namespaces

    async def holder(self) -> str:
        """Identity and Lease of such a leader, empty when there is none. Raises as `Cluster` does."""
        for namespace in self._namespaces:
            lease = await self._cluster.find(LEASES, namespace, self._instance.lease)
            if lease is not None and (identity := live_holder(lease, datetime.now(UTC))):
                return f"{identity} (Lease {namespace}/{self._instance.lease})"
        return ""


def live_holder(lease: Mapping[str, Any], now: datetime) -> str:
    """Identity of the holder of a Lease, empty when it is over."""
    spec = lease.get("spec") or {}
    try:
        renewed = datetime.fromisoformat(str(spec.get("renewTime")))
    except ValueError:
        return ""
    lasts = timedelta(seconds=int(spec.get("leaseDurationSeconds") or DEFAULT_SECONDS)) + SKEW
    return str(spec.get("holderIdentity") or "") if now < renewed + lasts else ""
