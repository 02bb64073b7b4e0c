"""Buttons of a release: the commands of which the terminal says that they work now, as far as they act."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from tidegate.contract import ReleaseStatus
from tidegate.report.current_state import verbs
from tidegate.report.versions import new_version, versions
from tidegate.web.rows import FleetRow


class Verb(StrEnum):
    """An act of an operator, named as its command."""

    PROMOTE = "promote"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"


# Commands that count without a worker: Temporal keeps them until one answers.
_WITHOUT_WORKER: Final = (Verb.ABORT, Verb.PAUSE, Verb.RESUME)


def verbs_for(row: FleetRow) -> tuple[Verb, ...]:
    """Acts that have an effect now, the likeliest first; without a status those that Temporal keeps for a worker."""
    if row.status is None:
        return _WITHOUT_WORKER if row.summary.state == "Running" else ()
    return tuple(Verb(each) for each in verbs(row.status) if each in set(Verb))


def effect(verb: Verb, row: FleetRow) -> str:
    """Effect of an act in one sentence, before it is done."""
    status = row.status
    before, after = _versions(status)
    return {
        Verb.PROMOTE: f"Ends the current wait of {after} and goes on with the next step. Gates of later steps stay.",
        Verb.ABORT: f"Puts all traffic back on {before}, then removes the pods of {after}. The release fails.",
        Verb.PAUSE: f"Stops {after} before its next step, until it is resumed. Its weight stays as it is.",
        Verb.RESUME: f"Ends the pause of {after}: it goes on where it was.",
        Verb.RETRY: f"Releases {after} again from its first step, with the manifests of its last start.",
    }[verb]


def _versions(status: ReleaseStatus | None) -> tuple[str, str]:
    if status is None:
        return "the stable version", "the new version"
    return versions(status)[0] or "the stable version", new_version(status)
