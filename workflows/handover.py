"""Handover of a version that Argo's controller was bringing out when it was switched off. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidegate.contract import WORKER_AGENT, Document, Observation, ReleaseRequest
from tidegate.contract.field_managers import writers_of
from tidegate.rollouts.version import is_current, version_of

ARGO_CONTROLLER: Final = "rollouts-controller"  # the name of its program, which the API server records as the manager


@dataclass(frozen=True)
class Handover:
    """The step that was under way, by its index, and the start of its pause; None: it was not paused."""

    step: int
    paused_since: datetime | None


def handover_of(request: ReleaseRequest, seen: Observation, hash_: str, steps: int) -> Handover | None:
    """The step at which Argo's controller left the version of that hash; None where no release can go on there.

    An unfinished release of Tidegate is no handover: it is put back. Neither is an aborted version, nor one whose steps
    have changed.
    """
    live = seen.rollout or {}
    status = live.get("status")
    if not isinstance(status, dict) or not seen.stable_hash or seen.stable_hash == hash_:
        return None
    index, requested = status.get("currentStepIndex"), version_of(request.rollout)
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < steps:
        return None
    same = status.get("currentPodHash") == hash_ and status.get("currentStepHash") == requested.step_hash
    if not same or not is_current(live) or version_of(live) != requested:
        return None
    if status.get("abort") or status.get("phase") not in ("Progressing", "Paused") or not _is_argos(live):
        return None
    return Handover(index, _paused_since(status))


def _is_argos(live: Document) -> bool:
    """True when Argo's controller wrote the status last; fields that operators patch do not count."""
    controllers = [each for each in writers_of(live, "status") if each in (ARGO_CONTROLLER, WORKER_AGENT)]
    return controllers[:1] == [ARGO_CONTROLLER]


def _paused_since(status: Document) -> datetime | None:
    conditions = status.get("pauseConditions")
    first = conditions[0] if isinstance(conditions, list) and conditions else None
    if not isinstance(first, dict) or first.get("reason") != "CanaryPauseStep":
        return None
    try:
        since = datetime.fromisoformat(str(first.get("startTime")).replace("Z", "+00:00"))
    except ValueError:
        return None
    return since if since.tzinfo is not None else None
