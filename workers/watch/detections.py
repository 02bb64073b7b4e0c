"""CrowdStrike Falcon's detections: content, signature, and the release that one ends.

Falcon's webhook signs with HMAC-SHA256 over body and time of delivery, in base64, in the headers named below
(https://docs.axonius.com/docs/crowdstrike-webhook describes the headers). The workflow of Falcon Fusion that sends it
defines the body: `deploy/security/falcon.md`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field

from activities.kubernetes.client import PODS, Cluster
from tidegate.client import RolloutRef, TidegateClient
from tidegate.watch import RunState

log = structlog.get_logger(__name__)

SIGNATURE: Final = "X-Cs-Primary-Signature"
TIMESTAMP: Final = "X-Cs-Delivery-Timestamp"
BY: Final = "CrowdStrike Falcon"
HASH_LABEL: Final = "rollouts-pod-template-hash"

_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"


class Detection(BaseModel):
    """A detection on a pod. Other fields of the body are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_max_length=2000)

    id: str = Field(min_length=1, max_length=200)
    namespace: str = Field(pattern=_NAME)
    pod: str = Field(pattern=_NAME)
    description: str = ""
    severity: str = ""
    url: str = ""

    @property
    def reason(self) -> str:
        """One line for the release, the incident and notifications."""
        severity = f"{self.severity} " if self.severity else ""
        text = f": {self.description}" if self.description else ""
        where = f" ({self.url})" if self.url else ""
        return " ".join(f"{severity}detection {self.id} on canary pod {self.pod}{text}{where}".split())


def is_genuine(key: str, body: bytes, timestamp: str, signature: str, *, now: datetime, oldest: timedelta) -> bool:
    """True when the owner of `key` signed this body at this time (RFC 3339), not longer ago than `oldest`."""
    try:
        age = now - datetime.fromisoformat(timestamp)
    except (ValueError, TypeError):  # TypeError: a time without a zone
        return False
    expected = base64.b64encode(hmac.new(key.encode(), body + timestamp.encode(), hashlib.sha256).digest())
    return abs(age) <= oldest and hmac.compare_digest(expected, signature.encode())


class Detections:
    """Ends the release whose canary a detection was made on. Remembers nothing: the same one twice counts once."""

    def __init__(self, cluster: Cluster, client: TidegateClient, name: str) -> None:
        """`name` is the cluster's in requests and workflow ids."""
        self._cluster = cluster
        self._client = client
        self._name = name

    async def act_on(self, detection: Detection) -> str:
        """Abort, if the pod is a canary's; returns what was done, or why nothing was.

        Raises TidegateError when Temporal does not answer, ApplicationError when the API server does not.
        """
        pod = await self._cluster.find(PODS, detection.namespace, detection.pod)
        if pod is None:
            return f"pod {detection.namespace}/{detection.pod} is gone"
        hash_ = (pod["metadata"].get("labels") or {}).get(HASH_LABEL, "")
        owners = [each for each in pod["metadata"].get("ownerReferences") or [] if each.get("kind") == "ReplicaSet"]
        if not hash_ or not owners:
            return f"pod {detection.namespace}/{detection.pod} belongs to no Rollout"
        # A ReplicaSet has the name of its Rollout and the hash of its version.
        rollout = RolloutRef(detection.namespace, str(owners[0]["name"]).removesuffix(f"-{hash_}"), self._name)
        release = await self._client.newest(rollout)
        if release is None or release.state is not RunState.RUNNING:
            return f"no release of {detection.namespace}/{rollout.name} is under way"
        status = await self._client.status(rollout)
        if hash_ == status.stable_hash or hash_ != status.desired_hash:
            return f"pod {detection.namespace}/{detection.pod} is not of the version that is being released"
        accepted = await self._client.abort(rollout, by=BY, reason=detection.reason)
        log.warning("aborted", rollout=rollout.workflow_id, detection=detection.id, answer=accepted.message)
        return f"release aborted: {accepted.message}"
