"""Deletions: preconditions, finalizers, owners and their dependents, namespaces."""

from __future__ import annotations

from typing import Any

from tests.conformance.asking import ABSENT, Among, Exactly, Has, Not, Object, Row, delete, get, merge, post
from tests.conformance.objects import (
    CONFIGS,
    PODS,
    ROLLOUTS,
    SERVICES,
    config,
    pod,
    rollout,
    service,
    with_metadata,
)

SOON = 30.0


def owned(name: str, owner: str, /, **more: Any) -> Object:
    """A ConfigMap that belongs to the Rollout whose uid is kept under that name."""
    reference = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": owner, "uid": f"${owner}", **more}
    return config(name, ownerReferences=[reference])


def made(name: str, /, **metadata: Any) -> Any:
    """Make a Rollout and keep its uid under its name."""
    return post(ROLLOUTS, with_metadata(rollout(name), **metadata), 201).kept(**{name: "metadata.uid"})


FOREGROUND = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
ORPHAN = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan"}

ROWS = [
    Row(
        "a deletion answers with a Status, or with the object",
        [
            made("web"),
            delete(
                f"{ROLLOUTS}/web",
                200,
                {
                    "kind": "Status",
                    "status": "Success",
                    "details": Exactly({"name": "web", "group": "argoproj.io", "kind": "rollouts", "uid": "$web"}),
                },
            ),
            delete(f"{ROLLOUTS}/web", 404, {"reason": "NotFound"}),
            post(CONFIGS, config("c"), 201),
            delete(
                f"{CONFIGS}/c",
                200,
                {"kind": "Status", "status": "Success", "details": {"name": "c", "kind": "configmaps"}},
            ),
            post(SERVICES, service("s"), 201),
            delete(f"{SERVICES}/s", 200, {"kind": "Service", "metadata": {"name": "s"}}),
            post(PODS, pod("p"), 201).within(20),
            delete(f"{PODS}/p?gracePeriodSeconds=0", 200, {"kind": "Pod", "metadata": {"name": "p"}}),
            get(f"{PODS}/p", 404),
        ],
    ),
    Row(
        "a deletion bound to what was seen",
        [
            post(CONFIGS, config("c"), 201).kept(uid="metadata.uid", rv="metadata.resourceVersion"),
            delete(f"{CONFIGS}/c", 409, {"reason": "Conflict"}, {"preconditions": {"uid": "other"}}),
            delete(f"{CONFIGS}/c", 409, {"reason": "Conflict"}, {"preconditions": {"resourceVersion": "1"}}),
            delete(f"{CONFIGS}/c", 200, None, {"preconditions": {"uid": "$uid", "resourceVersion": "$rv"}}),
            get(f"{CONFIGS}/c", 404),
        ],
    ),
    Row(
        "a finalizer holds a deletion",
        [
            made("web", finalizers=["example.com/hold"]),
            delete(
                f"{ROLLOUTS}/web",
                200,
                {
                    "kind": "Rollout",
                    "metadata": {"generation": 2, "deletionTimestamp": Not(""), "deletionGracePeriodSeconds": 0},
                },
            ),
            delete(f"{ROLLOUTS}/web", 200, {"kind": "Rollout", "metadata": {"generation": 2}}),
            post(ROLLOUTS, rollout("web"), 409, {"reason": "AlreadyExists", "message": Has("already exists")}),
            merge(
                f"{ROLLOUTS}/web",
                {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}},
                422,
                {
                    "reason": "Invalid",
                    "details": {
                        "causes": Among([{"field": "metadata.finalizers", "reason": "FieldValueForbidden"}], more=True)
                    },
                },
            ),
            merge(
                f"{ROLLOUTS}/web",
                {"metadata": {"deletionTimestamp": None}},
                200,
                {"metadata": {"deletionTimestamp": Not("")}},
            ),
            merge(f"{ROLLOUTS}/web", {"spec": {"replicas": 1}}, 200, {"spec": {"replicas": 1}}),
            merge(f"{ROLLOUTS}/web", {"metadata": {"finalizers": None}}, 200),
            get(f"{ROLLOUTS}/web", 404),
        ],
    ),
    Row(
        "in the background the owner goes first",
        [
            made("web"),
            post(CONFIGS, owned("c", "web"), 201),
            delete(f"{ROLLOUTS}/web?propagationPolicy=Background", 200, {"kind": "Status"}),
            get(f"{ROLLOUTS}/web", 404),
            get(f"{CONFIGS}/c", 404).within(SOON),
        ],
    ),
    Row(
        "in the foreground the owner waits for what blocks it",
        [
            made("web"),
            post(
                CONFIGS, with_metadata(owned("c", "web", blockOwnerDeletion=True), finalizers=["example.com/hold"]), 201
            ),
            delete(
                f"{ROLLOUTS}/web",
                200,
                {"kind": "Rollout", "metadata": {"finalizers": ["foregroundDeletion"], "deletionTimestamp": Not("")}},
                FOREGROUND,
            ),
            get(f"{CONFIGS}/c", 200, {"metadata": {"deletionTimestamp": Not("")}}).within(SOON),
            get(f"{ROLLOUTS}/web", 200),
            merge(f"{CONFIGS}/c", {"metadata": {"finalizers": None}}, 200),
            get(f"{CONFIGS}/c", 404).within(SOON),
            get(f"{ROLLOUTS}/web", 404).within(SOON),
        ],
    ),
    Row(
        "orphans stay",
        [
            made("web"),
            post(CONFIGS, owned("c", "web"), 201),
            # The garbage collector has to have seen the two before.
            get(f"{CONFIGS}/c", 200),
            delete(f"{ROLLOUTS}/web", 200, {"kind": "Rollout", "metadata": {"finalizers": ["orphan"]}}, ORPHAN),
            get(f"{ROLLOUTS}/web", 404).within(SOON),
            get(f"{CONFIGS}/c", 200, {"metadata": {"ownerReferences": ABSENT}}).within(SOON),
        ],
    ),
    Row(
        "what has another owner stays with that",
        [
            made("one"),
            made("two"),
            post(
                CONFIGS,
                config(
                    "c",
                    ownerReferences=[
                        *owned("c", "one")["metadata"]["ownerReferences"],
                        *owned("c", "two")["metadata"]["ownerReferences"],
                    ],
                ),
                201,
            ),
            delete(f"{ROLLOUTS}/one", 200),
            get(f"{CONFIGS}/c", 200, {"metadata": {"ownerReferences": [{"name": "two"}]}}).within(SOON),
            delete(f"{ROLLOUTS}/two", 200),
            get(f"{CONFIGS}/c", 404).within(SOON),
        ],
    ),
    Row(
        "what has an owner that never was goes",
        [
            made("web"),
            post(
                CONFIGS,
                config(
                    "c",
                    ownerReferences=[
                        {
                            "apiVersion": "argoproj.io/v1alpha1",
                            "kind": "Rollout",
                            "name": "web",
                            "uid": "11111111-2222-3333-4444-555555555555",
                        }
                    ],
                ),
                201,
            ),
            get(f"{CONFIGS}/c", 404).within(SOON),
        ],
    ),
    Row(
        "a collection goes by its labels",
        [
            post(CONFIGS, config("a", labels={"keep": "no"}), 201),
            post(CONFIGS, config("b", labels={"keep": "yes"}), 201),
            post(CONFIGS, config("c", labels={"keep": "no"}), 201),
            delete(f"{CONFIGS}?labelSelector=keep=no", 200),
            get(f"{CONFIGS}?labelSelector=keep", 200, {"items": [{"metadata": {"name": "b"}}]}),
        ],
    ),
    Row(
        "nothing is made in a namespace that goes",
        [
            post(CONFIGS, config("held", finalizers=["example.com/hold"]), 201),
            delete("/api/v1/namespaces/$ns", 200, {"kind": "Namespace", "status": {"phase": "Terminating"}}),
            post(
                ROLLOUTS,
                rollout("web"),
                403,
                {
                    "reason": "Forbidden",
                    "message": Has("because it is being terminated"),
                    "details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]},
                },
            ),
            get(f"{CONFIGS}/held", 200, {"metadata": {"deletionTimestamp": Not("")}}).within(SOON),
            merge(f"{CONFIGS}/held", {"metadata": {"finalizers": None}}, 200),
            get("/api/v1/namespaces/$ns", 404).within(SOON * 2),
        ],
    ),
    Row(
        "a deletion tried only",
        [
            made("web"),
            delete(f"{ROLLOUTS}/web?dryRun=All", 200),
            get(f"{ROLLOUTS}/web", 200, {"metadata": {"deletionTimestamp": ABSENT}}),
        ],
    ),
    Row(
        "words that a deletion does not know",
        [
            made("web"),
            delete(f"{ROLLOUTS}/web", 422, {"reason": "Invalid"}, {"propagationPolicy": "Sideways"}),
        ],
    ),
]
