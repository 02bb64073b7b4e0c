"""The spec of a Rollout object as it is in the cluster, beside that which its release brings out."""

from __future__ import annotations

from typing import Any, TypeGuard

from pydantic import ValidationError

from activities.kubernetes.client import Object
from tidegate.manifests.model import INT32
from tidegate.manifests.rollout import Rollout, RolloutSpec


class LiveSpec:
    """Reads the spec once for each version of the object, however often an activity looks at it.

    A newer spec that no release takes, and that cannot be read, takes nothing from the release under way: what it says
    of the number of replicas counts, and for the rest the release's own.
    """

    def __init__(self, own: RolloutSpec) -> None:
        """`own` is the spec of the release; it counts where there is no object."""
        self._own = own
        self._read: tuple[str, RolloutSpec] | None = None

    def spec(self, live: Object | None) -> RolloutSpec:
        """The spec of the object."""
        if live is None:
            return self._own
        version = str(live["metadata"].get("resourceVersion", ""))
        if self._read is None or self._read[0] != version:
            self._read = (version, self._parsed(live))
        return self._read[1]

    def replicas(self, live: Object | None) -> int:
        """How many pods the object wants; where it says so, nothing else of it is read."""
        replicas = live["spec"].get("replicas") if live is not None else None
        return replicas if _is_number(replicas) else self.spec(live).wanted_replicas()

    def _parsed(self, live: Object) -> RolloutSpec:
        replicas = live["spec"].get("replicas")
        if replicas is not None and not _is_number(replicas):
            return self._own
        try:
            return Rollout.model_validate(live).spec
        except ValidationError:
            return self._own if replicas is None else self._own.model_copy(update={"replicas": replicas})


def _is_number(replicas: Any) -> TypeGuard[int]:
    return isinstance(replicas, int) and not isinstance(replicas, bool) and 0 <= replicas < INT32.stop
