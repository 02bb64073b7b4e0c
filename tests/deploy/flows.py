"""What NetworkPolicies let through: https://kubernetes.io/docs/concepts/services-networking/network-policies/."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.manifests import Object, of_kind


@dataclass(frozen=True)
class Pod:
    """A pod by what policies select it by."""

    namespace: str
    labels: dict[str, str] = field(default_factory=dict)


Peer = Pod | str
"""A pod, or an address outside the cluster."""


def allowed(objects: list[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection passes the policies on both of its ends."""
    policies = of_kind(objects, "NetworkPolicy")
    return _passes(policies, source, target, port, protocol, "Egress") and _passes(
        policies, target, source, port, protocol, "Ingress"
    )


def _passes(policies: list[Object], own: Peer, other: Peer, port: int, protocol: str, direction: str) -> bool:
    if isinstance(own, str):
        return True
    holding = [
        each["spec"]
        for each in policies
        if each["metadata"]["namespace"] == own.namespace
        and _selects(each["spec"]["podSelector"], own.labels)
        and direction in each["spec"]["policyTypes"]
    ]
    if not holding:
        return True
    rules, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return any(
        _has_port(rule, port, protocol) and any(_is(each, other, own.namespace) for each in rule[peers])
        for spec in holding
        for rule in spec.get(rules, [])
    )


def _has_port(rule: dict[str, Any], port: int, protocol: str) -> bool:
    return any(each["port"] == port and each.get("protocol", "TCP") == protocol for each in rule["ports"])


def _is(peer: dict[str, Any], other: Peer, namespace: str) -> bool:
    if "ipBlock" in peer:
        if isinstance(other, Pod):
            return False
        return ipaddress.ip_address(other) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    if isinstance(other, str):
        return False
    if "namespaceSelector" in peer:
        labels = {"kubernetes.io/metadata.name": other.namespace}
        if not _selects(peer["namespaceSelector"], labels):
            return False
    elif other.namespace != namespace:
        return False
    return _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    operators = {
        "In": lambda each: labels.get(each["key"]) in each["values"],
        "NotIn": lambda each: labels.get(each["key"]) not in each["values"],
    }
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        operators[each["operator"]](each) for each in selector.get("matchExpressions", [])
    )
