"""Writes: what a server owns, generations and versions."""

from __future__ import annotations

from typing import Any

from tests.conformance.asking import (
    ABSENT,
    Has,
    Not,
    Row,
    get,
    merge,
    post,
    put,
)
from tests.conformance.objects import (
    CONFIGS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    ROLLOUTS,
    ROUTES,
    RUNS,
    SERVICES,
    SETS,
    config,
    pod,
    rollout,
    routes,
    run,
    service,
    with_metadata,
    workload,
)

MINE = {
    "uid": "mine",
    "generation": 7,
    "creationTimestamp": "2001-01-01T00:00:00Z",
    "deletionTimestamp": "2001-01-01T00:00:00Z",
}
LABEL = {"metadata": {"labels": {"a": "b"}}}
NOTE = {"metadata": {"annotations": {"a": "b"}}}
CONFLICT = {"reason": "Conflict", "status": "Failure", "message": Has("the object has been modified")}


def generation(number: int) -> Any:
    """What an object of that generation says."""
    return {"metadata": {"generation": number}}


ROWS = [
    Row(
        "what the server owns is not the client's",
        [
            post(
                ROLLOUTS,
                {**with_metadata(rollout("web"), **MINE), "status": {"phase": "Healthy"}},
                201,
                {
                    "metadata": {
                        "uid": Not("mine"),
                        "generation": 1,
                        "namespace": "$ns",
                        "creationTimestamp": Not("2001-01-01T00:00:00Z"),
                        "deletionTimestamp": ABSENT,
                    },
                    "status": ABSENT,
                },
            )
        ],
    ),
    Row("an object with a version cannot be created", [post(CONFIGS, config("c", resourceVersion="1"), 500)]),
    Row(
        "a Rollout's generation counts its spec",
        [
            post(ROLLOUTS, rollout("web"), 201, generation(1)),
            merge(f"{ROLLOUTS}/web", LABEL, 200, generation(1)),
            merge(f"{ROLLOUTS}/web", NOTE, 200, generation(1)),
            merge(f"{ROLLOUTS}/web/status", {"status": {"phase": "Healthy"}}, 200, generation(1)),
            merge(f"{ROLLOUTS}/web", {"spec": {"replicas": 4}}, 200, generation(2)),
            merge(f"{ROLLOUTS}/web", {"spec": {"replicas": 4}}, 200, generation(2)),
            merge(f"{ROLLOUTS}/web/scale", {"spec": {"replicas": 5}}, 200),
            get(f"{ROLLOUTS}/web", 200, generation(3)),
        ],
    ),
    Row(
        "a ReplicaSet's generation counts its spec",
        [
            post(SETS, workload("ReplicaSet", "web"), 201, generation(1)),
            merge(f"{SETS}/web", LABEL, 200, generation(1)),
            merge(f"{SETS}/web", NOTE, 200, generation(1)),
            merge(f"{SETS}/web", {"spec": {"minReadySeconds": 4}}, 200, generation(2)),
        ],
    ),
    Row(
        "a Deployment's generation counts its spec and its annotations",
        [
            post(DEPLOYMENTS, workload("Deployment", "web"), 201, generation(1)),
            merge(f"{DEPLOYMENTS}/web", LABEL, 200, generation(1)),
            merge(f"{DEPLOYMENTS}/web/status", {"status": {"observedGeneration": 1}}, 200, generation(1)),
            merge(f"{DEPLOYMENTS}/web", {"spec": {"minReadySeconds": 4}}, 200, generation(2)),
            merge(f"{DEPLOYMENTS}/web", NOTE, 200, generation(3)),
        ],
    ),
    Row(
        "an AnalysisRun without a status of its own counts that too",
        [
            post(
                RUNS,
                {**run("r"), "status": {"phase": "Running"}},
                201,
                {**generation(1), "status": {"phase": "Running"}},
            ),
            merge(f"{RUNS}/r", LABEL, 200, generation(1)),
            merge(f"{RUNS}/r", {"status": {"phase": "Successful"}}, 200, generation(2)),
            get(f"{RUNS}/r/status", 404),
        ],
    ),
    Row(
        "a ConfigMap and a Service have no generation",
        [
            post(CONFIGS, config("c"), 201, generation_absent := {"metadata": {"generation": ABSENT}}),
            post(SERVICES, service("s"), 201, generation_absent),
        ],
    ),
    Row("a Pod has a generation", [post(PODS, pod("p"), 201, generation(1)).within(20)]),
    Row(
        "a Job's generation counts its spec",
        [
            post(
                JOBS,
                {
                    "metadata": {"name": "j"},
                    "spec": {
                        "suspend": True,
                        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]}},
                    },
                },
                201,
                generation(1),
            ),
            merge(f"{JOBS}/j", LABEL, 200, generation(1)),
            merge(f"{JOBS}/j", {"spec": {"backoffLimit": 3}}, 200, generation(2)),
        ],
    ),
    Row(
        "a write that changes nothing leaves the version",
        [
            post(ROLLOUTS, rollout("web"), 201).kept(rv="metadata.resourceVersion"),
            merge(f"{ROLLOUTS}/web", {"spec": {"replicas": 3}}, 200, {"metadata": {"resourceVersion": "$rv"}}),
            merge(f"{ROLLOUTS}/web", LABEL, 200, {"metadata": {"resourceVersion": Not("$rv")}}),
        ],
    ),
    Row(
        "a PUT with an old version is a conflict",
        [
            post(CONFIGS, config("c"), 201).kept(rv="metadata.resourceVersion"),
            merge(f"{CONFIGS}/c", LABEL, 200),
            put(
                f"{CONFIGS}/c",
                config("c", resourceVersion="$rv"),
                409,
                {**CONFLICT, "details": {"name": "c", "kind": "configmaps"}},
            ),
            put(f"{CONFIGS}/c", config("c", {"a": "b"}), 200, {"data": {"a": "b"}, "metadata": {"labels": ABSENT}}),
        ],
    ),
    Row(
        "a custom resource is replaced with its version or not at all",
        [
            post(ROLLOUTS, rollout("web"), 201),
            put(
                f"{ROLLOUTS}/web",
                rollout("web"),
                422,
                {
                    "reason": "Invalid",
                    "details": {
                        "kind": "rollouts",
                        "group": "argoproj.io",
                        "causes": [{"field": "metadata.resourceVersion", "reason": "FieldValueInvalid"}],
                    },
                },
            ),
        ],
    ),
    Row("what is not there cannot be replaced", [put(f"{CONFIGS}/c", config("c"), 404, {"reason": "NotFound"})]),
    Row(
        "a merge patch with an old version is a conflict",
        [
            post(ROUTES, routes("web"), 201).kept(rv="metadata.resourceVersion"),
            merge(f"{ROUTES}/web", LABEL, 200),
            merge(f"{ROUTES}/web", {"metadata": {"resourceVersion": "$rv"}, "spec": {"hosts": ["z"]}}, 409, CONFLICT),
            merge(f"{ROUTES}/web", {"metadata": {"resourceVersion": ""}, "spec": {"hosts": ["z"]}}, 422),
            merge(f"{ROUTES}/web", {"metadata": {"resourceVersion": None}, "spec": {"hosts": ["z"]}}, 422),
        ],
    ),
    Row(
        "another uid is a conflict",
        [
            post(CONFIGS, config("c"), 201),
            put(
                f"{CONFIGS}/c",
                config("c", uid="other"),
                409,
                {"reason": "Conflict", "message": Has("UID in precondition: other")},
            ),
            merge(
                f"{CONFIGS}/c",
                {"metadata": {"uid": "other"}},
                422,
                {"reason": "Invalid", "message": Has('metadata.uid: Invalid value: "other": field is immutable')},
            ),
        ],
    ),
    Row(
        "another name does not fit the address",
        [
            post(CONFIGS, config("c"), 201),
            put(
                f"{CONFIGS}/c",
                config("d"),
                400,
                {"reason": "BadRequest", "message": Has("does not match the name on the URL")},
            ),
            merge(f"{CONFIGS}/c", {"metadata": {"name": "d"}}, 400, {"reason": "BadRequest"}),
            put(f"{CONFIGS}/c", config("c", namespace="other"), 400, {"reason": "BadRequest"}),
            post(CONFIGS, config("d", namespace="other"), 400, {"reason": "BadRequest"}),
        ],
    ),
]
