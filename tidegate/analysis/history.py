"""Which AnalysisRun objects of a Rollout are kept, and which are garbage. Source: argo-rollouts, run history limits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from tidegate.analysis.status import Phase
from tidegate.manifests.network import HASH_LABEL

_NEVER = datetime.min.replace(tzinfo=UTC)


class StoredRun(BaseModel):
    """An AnalysisRun object as far as its age and outcome go.

    `uid` tells it from others of its name, `hash` is the pod-template hash that it is labelled with, empty without that
    label. `phase` and `created_at` are None when the object does not tell.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    uid: str = ""
    hash: str = ""
    phase: Phase | None = None
    created_at: datetime | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> StoredRun:
        """An object as it stands; never raises, whatever stands in it."""
        metadata, status = _mapping(found.get("metadata")), _mapping(found.get("status"))
        phase = status.get("phase")
        return cls(
            name=str(metadata.get("name") or ""),
            uid=str(metadata.get("uid") or ""),
            hash=str(_mapping(metadata.get("labels")).get(HASH_LABEL) or ""),
            phase=Phase(phase) if phase in tuple(Phase) else None,
            created_at=_moment(metadata.get("creationTimestamp")),
        )


def surplus(
    runs: Iterable[StoredRun],
    *,
    hashes: Collection[str],
    current: Collection[str],
    successful: int,
    unsuccessful: int,
) -> list[StoredRun]:
    """The runs to delete, newest first.

    `successful` and `unsuccessful` are how many of each outcome stay, the newest ones; Failed, Error and Inconclusive
    are unsuccessful. A run whose ReplicaSet is gone (`hashes` are those of the ones that stay) goes whatever it says;
    one that is under way stays otherwise. `current` are the names of the runs of the current release: they stay, and
    use up no limit.
    """
    left = {True: successful, False: unsuccessful}
    garbage = []
    for run in sorted(runs, key=lambda each: (each.created_at or _NEVER, each.name), reverse=True):
        if run.name in current:
            continue
        if run.hash not in hashes:
            garbage.append(run)
        elif run.phase is not None and run.phase.completed:
            outcome = run.phase is Phase.SUCCESSFUL
            left[outcome] -= 1
            if left[outcome] < 0:
                garbage.append(run)
    return garbage


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _moment(value: Any) -> datetime | None:
    try:
        timestamp = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
