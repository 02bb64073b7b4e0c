"""The Rollout and the fencing token that every write to a cluster carries."""

from __future__ import annotations

from tidegate.contract.names import NamespaceName, ObjectName
from tidegate.contract.payload import Payload


class Fence(Payload):
    """Fencing token of a write to the cluster: (start of the release in ms since 1970, number of the write).

    It is stored on the object beside what is written, as annotation `tidegate.io/fence: <epoch>.<sequence>`. A write
    whose token is lower than the stored one is refused with `StaleWrite` (law 3).
    """

    epoch: int
    sequence: int

    def __str__(self) -> str:
        """Form of the annotation."""
        return f"{self.epoch}.{self.sequence}"


class Target(Payload):
    """The Rollout that a cluster activity works on."""

    namespace: NamespaceName
    name: ObjectName
