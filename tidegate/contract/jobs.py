"""Jobs of metrics: their names, their owner, and the deletion of those that are no longer awaited."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from tidegate.contract.payload import Payload

JOB_NAME: Final = "job-name"
JOB_NAMESPACE: Final = "job-namespace"
"""Keys in the metadata of a measurement; the first is Argo's."""

# A Job's name becomes the value of a label of its pods, and the beginning of their host names.
_LONGEST_NAME: Final = 63
_DIGEST_LENGTH: Final = 12
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")


class Owner(Payload):
    """The owner of the Jobs, an object in the run's namespace; they are deleted with it."""

    api_version: str
    kind: str
    name: str
    uid: str


class EndJobs(Payload):
    """Delete `jobs` of an analysis run, by name, with their pods."""

    namespace: str
    run: str
    uid: str  # of the run, as in `MeasureRequest`
    jobs: tuple[str, ...]


def job_name(uid: str, metric: str, number: int) -> str:
    """Name of the Job of one measurement, a DNS label (RFC 1123): the same for the same, and for nothing else.

    It is the id of the effect: a repeated call finds the Job of the first one. `uid` is the run's, `number` counts the
    measurements of the metric from 1.
    """
    digest = hashlib.sha256(json.dumps([uid, metric, number]).encode()).hexdigest()[:_DIGEST_LENGTH]
    end = f"-{number}-{digest}"
    readable = _NOT_IN_A_NAME.sub("-", metric.lower()).strip("-")[: _LONGEST_NAME - len(end)].rstrip("-")
    return f"{readable or 'metric'}{end}"
