"""Patches of each kind, and the subresources that they are sent to."""

from __future__ import annotations

from tests.conformance.asking import (
    ABSENT,
    ARGO,
    TIDEGATE,
    Exactly,
    Has,
    Not,
    Object,
    Row,
    get,
    merge,
    patch,
    post,
    put,
    strategic,
)
from tests.conformance.objects import (
    CONFIGS,
    DEPLOYMENTS,
    ROLLOUTS,
    ROUTES,
    SERVICES,
    SETS,
    config,
    rollout,
    routes,
    service,
    with_metadata,
    workload,
)

LABEL = {"metadata": {"labels": {"a": "b"}}}
NOTE = {"metadata": {"annotations": {"a": "b"}}}
CONFLICT = {"reason": "Conflict", "status": "Failure", "message": Has("the object has been modified")}


def containers(**tags: int) -> Object:
    """A workload of these containers in this order, each with an image of its name and that tag."""
    listed = [{"name": name, "image": f"{name}:{tag}"} for name, tag in tags.items()]
    return {"spec": {"template": {"spec": {"containers": listed}}}}


ROWS = [
    Row(
        "a JSON Patch whose test fails changes nothing",
        [
            post(ROUTES, routes("web", 90, 10), 201).kept(rv="metadata.resourceVersion"),
            patch(
                f"{ROUTES}/web",
                [
                    {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 50},
                    {"op": "test", "path": "/spec/http/0/route/1/weight", "value": 11},
                ],
                422,
                {"reason": "Invalid", "status": "Failure"},
            ),
            get(f"{ROUTES}/web", 200, {"metadata": {"resourceVersion": "$rv"}}),
        ],
    ),
    Row(
        "a JSON Patch fenced by version and uid",
        [
            post(ROUTES, routes("web"), 201).kept(rv="metadata.resourceVersion", uid="metadata.uid"),
            patch(
                f"{ROUTES}/web",
                [
                    {"op": "test", "path": "/metadata/uid", "value": "$uid"},
                    {"op": "test", "path": "/metadata/resourceVersion", "value": "$rv"},
                    {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 90},
                    {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": 10},
                ],
                200,
                {"spec": {"http": [{"route": [{"weight": 90}, {"weight": 10}]}]}},
            ),
            patch(f"{ROUTES}/web", [{"op": "test", "path": "/metadata/resourceVersion", "value": "$rv"}], 422),
            patch(f"{ROUTES}/web", [{"op": "test", "path": "/metadata/annotations/fence", "value": "1"}], 422),
            patch(f"{ROUTES}/web", [{"op": "test", "path": "/metadata/annotations", "value": None}], 200),
        ],
    ),
    Row(
        "a JSON Patch of a path that is not there",
        [
            post(CONFIGS, config("c", {"a": "b"}), 201),
            patch(f"{CONFIGS}/c", [{"op": "remove", "path": "/data/z"}], 422),
            patch(
                f"{CONFIGS}/c",
                [{"op": "replace", "path": "/data/y", "value": "1"}],
                200,
                {"data": Exactly({"a": "b", "y": "1"})},
            ),
            patch(f"{CONFIGS}/c", [{"op": "add", "path": "/nothing/z", "value": "1"}], 422),
            patch(
                f"{CONFIGS}/c",
                [{"op": "add", "path": "/data/z", "value": "1"}],
                200,
                {"data": Exactly({"a": "b", "y": "1", "z": "1"})},
            ),
        ],
    ),
    Row(
        "what is no JSON Patch",
        [
            post(CONFIGS, config("c"), 201),
            patch(f"{CONFIGS}/c", {"op": "remove"}, 400, {"reason": "BadRequest"}),
            patch(f"{CONFIGS}/c", "[", 400, {"reason": "BadRequest"}),
            merge(f"{CONFIGS}/c", [], 400, {"reason": "BadRequest"}),
        ],
    ),
    Row(
        "a patch of what is not there",
        [
            merge(
                f"{CONFIGS}/c",
                LABEL,
                404,
                {"reason": "NotFound", "details": Exactly({"name": "c", "kind": "configmaps"})},
            ),
            patch(
                f"{ROLLOUTS}/web",
                [],
                404,
                {"details": Exactly({"name": "web", "kind": "rollouts", "group": "argoproj.io"})},
            ),
        ],
    ),
    Row(
        "status and spec do not leak into each other",
        [
            post(ROLLOUTS, rollout("web"), 201),
            merge(
                f"{ROLLOUTS}/web/status",
                {"status": {"phase": "Healthy"}, "spec": {"replicas": 9}, **LABEL},
                200,
                {"spec": {"replicas": 3}, "status": Exactly({"phase": "Healthy"}), "metadata": {"labels": ABSENT}},
            ),
            merge(
                f"{ROLLOUTS}/web",
                {"status": {"phase": "Degraded"}, **NOTE},
                200,
                {"status": Exactly({"phase": "Healthy"}), "metadata": {"annotations": Exactly({"a": "b"})}},
            ),
        ],
    ),
    Row(
        "a JSON Patch of a status tests the whole object",
        [
            post(ROLLOUTS, rollout("web"), 201).kept(uid="metadata.uid"),
            patch(
                f"{ROLLOUTS}/web/status",
                [
                    {"op": "test", "path": "/metadata/uid", "value": "$uid"},
                    {"op": "test", "path": "/spec/replicas", "value": 3},
                    {"op": "add", "path": "/status", "value": {"phase": "Paused"}},
                ],
                200,
                {"status": {"phase": "Paused"}},
            ),
            patch(f"{ROLLOUTS}/web/status", [{"op": "test", "path": "/spec/replicas", "value": 4}], 422),
        ],
    ),
    Row(
        "a status that is put",
        [
            post(ROLLOUTS, rollout("web"), 201).kept(rv="metadata.resourceVersion"),
            put(
                f"{ROLLOUTS}/web/status",
                {**with_metadata(rollout("web", replicas=8), resourceVersion="$rv"), "status": {"phase": "Paused"}},
                200,
                {"spec": {"replicas": 3}, "status": {"phase": "Paused"}},
            ),
            put(
                f"{ROLLOUTS}/web/status",
                {**with_metadata(rollout("web"), resourceVersion="$rv"), "status": {}},
                409,
                CONFLICT,
            ),
        ],
    ),
    Row(
        "the status of a Deployment carries no labels",
        [
            post(DEPLOYMENTS, workload("Deployment", "web"), 201),
            merge(
                f"{DEPLOYMENTS}/web/status",
                {"status": {"collisionCount": 4}, "spec": {"minReadySeconds": 9}, **LABEL},
                200,
                {"spec": {"minReadySeconds": ABSENT}, "status": {"collisionCount": 4}, "metadata": {"labels": ABSENT}},
            ),
        ],
    ),
    Row(
        "scale shows and sets replicas",
        [
            post(ROLLOUTS, rollout("web"), 201).kept(rv="metadata.resourceVersion"),
            get(
                f"{ROLLOUTS}/web/scale",
                200,
                {
                    "kind": "Scale",
                    "apiVersion": "autoscaling/v1",
                    "metadata": {"name": "web", "resourceVersion": "$rv"},
                    "spec": Exactly({"replicas": 3}),
                    "status": {"replicas": 0},
                },
            ),
            merge(f"{ROLLOUTS}/web/status", {"status": {"HPAReplicas": 2, "selector": "app=web"}}, 200),
            get(f"{ROLLOUTS}/web/scale", 200, {"status": Exactly({"replicas": 2, "selector": "app=web"})}),
            merge(f"{ROLLOUTS}/web/scale", {"spec": {"replicas": 5}}, 200, {"spec": {"replicas": 5}}),
            put(
                f"{ROLLOUTS}/web/scale",
                {
                    "apiVersion": "autoscaling/v1",
                    "kind": "Scale",
                    "metadata": {"name": "web", "resourceVersion": "$rv"},
                    "spec": {"replicas": 6},
                },
                409,
                {"reason": "Conflict"},
            ),
            get(f"{ROLLOUTS}/web", 200, {"spec": {"replicas": 5}}),
            merge(f"{ROLLOUTS}/web/scale", {"spec": {"replicas": -1}}, 422),
        ],
    ),
    Row(
        "a strategic merge patch merges containers by their names",
        [
            post(SETS, workload("ReplicaSet", "web"), 201),
            strategic(f"{SETS}/web", containers(side=1, app=2), 200, containers(side=1, app=2)),
            strategic(f"{SETS}/web", containers(new=1), 200, containers(new=1, side=1, app=2)),
            strategic(f"{SETS}/web", containers(app=3, side=2), 200, containers(new=1, app=3, side=2)),
        ],
    ),
    Row(
        "a custom resource takes no strategic merge patch",
        [
            post(ROLLOUTS, rollout("web"), 201),
            strategic(f"{ROLLOUTS}/web", LABEL, 415, {"reason": "UnsupportedMediaType"}),
        ],
    ),
    Row(
        "a merge patch removes by null and replaces lists",
        [
            post(ROLLOUTS, rollout("web", paused=True), 201),
            merge(
                f"{ROLLOUTS}/web",
                {"spec": {"paused": None, "strategy": {"canary": {"steps": [{"setWeight": 5}]}}}},
                200,
                {"spec": {"paused": ABSENT, "strategy": Exactly({"canary": {"steps": [{"setWeight": 5}]}})}},
            ),
            merge(
                f"{ROLLOUTS}/web",
                {"spec": {"strategy": {"canary": {"steps": [{"pause": {}}]}}}},
                200,
                {"spec": {"strategy": {"canary": {"steps": [Exactly({"pause": {}})]}}}},
            ),
        ],
    ),
    Row(
        "a dry run writes nothing",
        [
            post(f"{CONFIGS}?dryRun=All", config("c"), 201, {"metadata": {"uid": Not("")}}),
            get(f"{CONFIGS}/c", 404),
            post(f"{CONFIGS}?dryRun=Some", config("c"), 422),
        ],
    ),
    Row(
        "a name can be generated",
        [
            post(
                CONFIGS,
                {"metadata": {"generateName": "g-"}},
                201,
                {"metadata": {"name": Has("g-"), "generateName": "g-"}},
            )
        ],
    ),
    Row(
        "a Service keeps its address",
        [
            post(SERVICES, service("s"), 201).kept(ip="spec.clusterIP"),
            put(f"{SERVICES}/s", service("s"), 200, {"spec": {"clusterIP": "$ip", "clusterIPs": ["$ip"]}}),
            merge(f"{SERVICES}/s", {"spec": {"clusterIP": "10.96.99.99"}}, 422),
        ],
    ),
    Row(
        "nulls of a custom resource that is created are left out",
        [
            post(
                ROLLOUTS,
                rollout("web", paused=None, workloadRef=None),
                201,
                {"spec": {"paused": ABSENT, "workloadRef": ABSENT}},
            )
        ],
    ),
    Row(
        "a template's empty time of creation under its own CRDs",
        [
            post(
                ROLLOUTS,
                rollout(
                    "web",
                    template={
                        "metadata": {"creationTimestamp": None, "labels": {"app": "web"}},
                        "spec": {"containers": []},
                    },
                ),
                201,
                {"spec": {"template": {"metadata": Exactly({"creationTimestamp": None, "labels": {"app": "web"}})}}},
            )
        ],
        under=TIDEGATE,
    ),
    Row(
        "a template's empty time of creation under Argo's CRDs",
        [
            post(
                ROLLOUTS,
                rollout(
                    "web",
                    template={
                        "metadata": {"creationTimestamp": None, "labels": {"app": "web"}},
                        "spec": {"containers": []},
                    },
                ),
                201,
                {"spec": {"template": {"metadata": Exactly({"labels": {"app": "web"}})}}},
            )
        ],
        under=ARGO,
    ),
]
