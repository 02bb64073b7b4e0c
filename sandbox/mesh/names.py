"""The name of an Envoy cluster: it says whose pods it holds, so that Envoy's own counters can be read by pod hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HASH_LABEL = "rollouts-pod-template-hash"
SERVICE_LABELS = ("tags.datadoghq.com/service", "app.kubernetes.io/name", "app")


@dataclass(frozen=True, order=True)
class ClusterName:
    """The pods of one hash behind one port of one Service (and subset of its DestinationRule, "" for all).

    `tag` is the service as telemetry knows it (Datadog's `service`), `pod_hash` is "" where there are no pods to tell.
    """

    tag: str
    pod_hash: str
    namespace: str
    service: str
    port: int
    subset: str = ""

    def __str__(self) -> str:
        """`checkout;5d8f/payments/checkout-canary/80/`: no part may hold a slash or a semicolon, none a colon."""
        return f"{self.tag};{self.pod_hash}/{self.namespace}/{self.service}/{self.port}/{self.subset}"

    @classmethod
    def parse(cls, text: str) -> ClusterName | None:
        """The name that `text` is, or None when another hand gave it."""
        tag, semicolon, rest = text.partition(";")
        parts = rest.split("/")
        if not semicolon or len(parts) != 5 or not parts[3].isdigit():
            return None
        return cls(tag, parts[0], parts[1], parts[2], int(parts[3]), parts[4])


def service_tag(labels: Mapping[str, str], default: str) -> str:
    """The service that pods with these labels report to telemetry, `default` when no label says."""
    return next((labels[key] for key in SERVICE_LABELS if labels.get(key)), default)
