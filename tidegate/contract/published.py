"""Payloads of what a release writes beside its Rollout for people with kubectl: Events and AnalysisRun objects.

All of it is told, and nothing decides by it. `uid` is that of the Rollout object: without one there is nobody to tell.
"""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.payload import Document, Payload
from tidegate.contract.release import AnalysisRef, Event
from tidegate.contract.writes import Fence, Target
from tidegate.manifests.rollout import DEFAULT_RUN_HISTORY


class PublishEvents(Payload):
    """Write Events about the Rollout; those that stand already are left as they are.

    `run` is the id of the release's workflow run, `first` the number of the first of `events` among all of that run:
    together with `uid` they are the id of the effect (law 6).
    """

    target: Target
    uid: str = Field(min_length=1)
    run: str
    first: int
    events: tuple[Event, ...]


class PublishAnalysisRun(Payload):
    """Write the AnalysisRun object of an analysis run, as it stands now.

    `hash` is the pod-template hash that is analysed, `spec` the run's as in `AnalysisRequest`, `selector` the Rollout's
    `spec.selector.matchLabels`. `labels` and `annotations` are those of `analysisRunMetadata`.
    """

    target: Target
    uid: str = Field(min_length=1)
    hash: str
    run: AnalysisRef
    spec: Document
    selector: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    fence: Fence


class CollectAnalysisRuns(Payload):
    """Delete the AnalysisRun objects of the Rollout that its history limits do not keep.

    `current` are the names of the current release's runs, which are never deleted.
    """

    target: Target
    uid: str = Field(min_length=1)
    current: tuple[str, ...] = ()
    successful: int = DEFAULT_RUN_HISTORY
    unsuccessful: int = DEFAULT_RUN_HISTORY


class Publication(Payload):
    """What became of it. `problem` says why it cannot be done in this cluster, which a retry will not change soon."""

    problem: str = ""
    deleted: tuple[str, ...] = ()  # names of AnalysisRun objects
