"""Kubernetes Events of a release about its Rollout, for `kubectl describe` and `kubectl get events`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from tidegate.contract import Document, Event, Target
from tidegate.manifests.kinds import ARGO_VERSION
from tidegate.manifests.plain_text import harmless
from tidegate.report.timestamps import rfc3339

COMPONENT: Final = "tidegate"
BETWEEN: Final = " | "  # the texts of one Event

# Limits of the API (k8s.io/api events/v1): a longer note is refused.
_LONGEST_MESSAGE_BYTES: Final = 1024
_LONGEST_NAME: Final = 253
_DIGEST_LENGTH: Final = 16
_CUT: Final = "..."


def joined(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events of which those of one reason are one, with the texts in order and the time of the last.

    Each Event is a request to the API server, and a step brings several of a reason, such as the scaling of both
    versions. Warnings stay apart, as people count them; so does a text for which an Event has no room.
    """
    found: list[Event] = []
    positions: dict[str, int] = {}  # of the Event that takes more of a reason
    for event in events:
        index = positions.get(event.reason)
        both = _both(found[index], event) if index is not None and not event.warning else None
        if index is not None and both is not None:
            found[index] = both
            continue
        if not event.warning:
            positions[event.reason] = len(found)
        found.append(event)
    return tuple(found)


def _both(first: Event, second: Event) -> Event | None:
    """Two as one; None where that would be too long, or they are about different analysis runs."""
    text = BETWEEN.join((first.message, second.message))
    if first.analysis != second.analysis or len(harmless(text).encode()) > _LONGEST_MESSAGE_BYTES:
        return None
    return first.model_copy(update={"at": second.at, "message": text})


def event_name(event: Event, rollout: str, uid: str, run: str, number: int) -> str:
    """Name of an Event, a DNS subdomain (RFC 1123): the same for the same, and for nothing else (law 6).

    `uid` is the Rollout's, `run` the id of the release's workflow run, or of a pass of it, and `number` counts the
    events of that. A pass that is tried again may do something else, so what happened is a part of it.
    """
    digest = hashlib.sha256(json.dumps([uid, run, number, event.reason, event.message]).encode()).hexdigest()[
        :_DIGEST_LENGTH
    ]
    return f"{rollout[: _LONGEST_NAME - _DIGEST_LENGTH - 1].rstrip('-.')}.{digest}"


def kubernetes_event(
    event: Event, *, target: Target, uid: str, run: str, number: int, kind: str = "Rollout"
) -> Document:
    """The `v1` Event of one event of the release; `uid`, `run` and `number` as for `event_name`.

    `kind` is that of the object that it is about, one of Argo's.
    """
    at = rfc3339(event.at)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(event, target.name, uid, run, number), "namespace": target.namespace},
        "involvedObject": {
            "apiVersion": ARGO_VERSION,
            "kind": kind,
            "namespace": target.namespace,
            "name": target.name,
            "uid": uid,
        },
        "reason": event.reason,
        "message": _shortened(harmless(event.message)),
        "type": "Warning" if event.warning else "Normal",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def _shortened(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= _LONGEST_MESSAGE_BYTES:
        return text
    return encoded[: _LONGEST_MESSAGE_BYTES - len(_CUT)].decode(errors="ignore") + _CUT
