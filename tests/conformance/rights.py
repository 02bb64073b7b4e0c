"""What a server answers to those who may not, come too late, or speak another language."""

from __future__ import annotations

from tests.conformance.asking import Ask, Has, Object, Row, get, merge, patch, post, put
from tests.conformance.objects import (
    CONFIGS,
    CORE,
    PODS,
    RBAC,
    REVIEWS,
    ROLLOUTS,
    ROUTES,
    SETS,
    config,
    pod,
    rollout,
    routes,
    with_metadata,
    workload,
)

SOON = 30.0
HERE = 'resource "rollouts" in API group "argoproj.io" in the namespace "$ns"'
WORKER = 'User "system:serviceaccount:$ns:worker"'

_READ = {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get", "patch"]}
_BOUND = {
    "metadata": {"name": "reader"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
    "subjects": [{"kind": "ServiceAccount", "namespace": "$ns", "name": "worker"}],
}
_TOKEN: list[Ask] = [
    post(f"{CORE}/serviceaccounts", {"metadata": {"name": "worker"}}, 201),
    post(
        f"{CORE}/serviceaccounts/worker/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        201,
    ).kept(worker="status.token"),
]


def _forbidden(message: str) -> Object:
    return {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": Has(message)}


def exceeded(key: str, name: str, count: int, resource: str, details: Object) -> Object:
    """A quota of so many is used up."""
    why = f"exceeded quota: few, requested: {key}=1, used: {key}={count}, limited: {key}={count}"
    message = f'{resource} "{name}" is forbidden: {why}'
    return {"reason": "Forbidden", "message": message, "details": {"name": name, **details}}


def _may(verb: str, allowed: bool) -> Ask:
    asked = {"verb": verb, "group": "argoproj.io", "resource": "rollouts", "namespace": "$ns"}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    return post(REVIEWS, body, 201, {"status": {"allowed": allowed}})


ROWS = [
    Row(
        "a name that is taken",
        [
            post(ROLLOUTS, rollout("web"), 201),
            post(
                ROLLOUTS,
                rollout("web"),
                409,
                {
                    "reason": "AlreadyExists",
                    "message": 'rollouts.argoproj.io "web" already exists',
                    "details": {"name": "web", "group": "argoproj.io", "kind": "rollouts"},
                },
            ),
        ],
    ),
    Row(
        "what there is not",
        [
            get(
                f"{PODS}/nope",
                404,
                {"reason": "NotFound", "message": 'pods "nope" not found', "details": {"name": "nope", "kind": "pods"}},
            ),
            get(
                f"{CORE}/unicorns",
                404,
                {"reason": "NotFound", "message": "the server could not find the requested resource"},
            ),
            get(f"{CONFIGS}/c/status", 404),
            post(
                "/api/v1/namespaces/not-there/configmaps",
                config("c"),
                404,
                {"message": 'namespaces "not-there" not found'},
            ),
            get("/api/v1/namespaces/not-there/configmaps", 200, {"items": []}),
            Ask("POST", f"{CONFIGS}/c", 405, {"reason": "MethodNotAllowed"}),
        ],
    ),
    Row(
        "forms that a server does not read",
        [
            post(CONFIGS, "x", 415, {"reason": "UnsupportedMediaType"}, "text/plain"),
            post(CONFIGS, "{", 400, {"reason": "BadRequest"}),
            post(
                CONFIGS,
                {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "c"}},
                400,
                {"reason": "BadRequest"},
            ),
            post(CONFIGS, "a: [", 400, {"reason": "BadRequest"}, "application/yaml"),
            post(CONFIGS, "metadata: {name: yaml}\ndata: {a: '1'}\n", 201, {"data": {"a": "1"}}, "application/yaml"),
            Ask("PATCH", f"{CONFIGS}/yaml", 415, {"reason": "UnsupportedMediaType"}, {}),
        ],
    ),
    Row(
        "a body above three megabytes",
        [post(CONFIGS, config("c", {"a": "x" * 3_200_000}), 413, {"reason": "RequestEntityTooLarge"})],
    ),
    Row(
        "admission refuses an update",
        [
            post(ROUTES, routes("web"), 201).kept(rv="metadata.resourceVersion"),
            patch(
                f"{ROUTES}/web",
                [{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 90}],
                422,
                {
                    "reason": "Invalid",
                    "status": "Failure",
                    "message": Has("weights are frozen"),
                    "details": {
                        "name": "web",
                        "group": "networking.istio.io",
                        "kind": "virtualservices",
                        "causes": [{"message": Has("weights are frozen")}],
                    },
                },
            ),
            get(f"{ROUTES}/web", 200, {"metadata": {"resourceVersion": "$rv"}}),
            put(f"{ROUTES}/web", with_metadata(routes("web"), resourceVersion="1"), 409),
        ],
        refused=("networking.istio.io", "virtualservices", "weights are frozen"),
    ),
    *(
        Row(
            f"a quota of {key}",
            [
                post(f"{CORE}/resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": {key: "0"}}}, 201),
                # Again and again: the server takes a quota up after a while, and counts from then on.
                post(f"{path}?dryRun=All", one, 403, exceeded(key, "one", 0, resource, details)).within(SOON),
                merge(f"{CORE}/resourcequotas/few", {"spec": {"hard": {key: "1"}}}, 200),
                post(path, one, 201).within(SOON),
                post(path, with_metadata(one, name="two"), 403, exceeded(key, "two", 1, resource, details)),
            ],
        )
        for key, path, one, resource, details in (
            ("pods", PODS, pod("one"), "pods", {"kind": "pods"}),
            (
                "count/replicasets.apps",
                SETS,
                workload("ReplicaSet", "one"),
                "replicasets.apps",
                {"group": "apps", "kind": "replicasets"},
            ),
        )
    ),
    Row(
        "rights are those of the roles",
        [
            *_TOKEN,
            get(
                f"{ROLLOUTS}/web",
                403,
                {
                    **_forbidden(f'rollouts.argoproj.io "web" is forbidden: {WORKER} cannot get {HERE}'),
                    "details": {"name": "web", "group": "argoproj.io", "kind": "rollouts"},
                },
            ).by("worker"),
            post(f"{RBAC}/roles", {"metadata": {"name": "reader"}, "rules": [_READ]}, 201),
            post(f"{RBAC}/rolebindings", _BOUND, 201),
            get(f"{ROLLOUTS}/web", 404).by("worker").within(20),
            get(
                ROLLOUTS,
                403,
                _forbidden(f"rollouts.argoproj.io is forbidden: {WORKER} cannot list {HERE}"),
            ).by("worker"),
            post(ROLLOUTS, rollout("web"), 201),
            merge(f"{ROLLOUTS}/web", {"spec": {"paused": True}}, 200).by("worker"),
            merge(
                f"{ROLLOUTS}/web/status",
                {"status": {}},
                403,
                _forbidden(f'{WORKER} cannot patch resource "rollouts/status" in API group'),
            ).by("worker"),
            get(
                "/apis/argoproj.io/v1alpha1/rollouts",
                403,
                _forbidden('cannot list resource "rollouts" in API group "argoproj.io" at the cluster scope'),
            ).by("worker"),
            _may("get", True).by("worker"),
            _may("delete", False).by("worker"),
            get(f"{ROLLOUTS}?watch=1&timeoutSeconds=1", 403, _forbidden('cannot watch resource "rollouts"')).by(
                "worker"
            ),
        ],
    ),
    Row(
        "a credential of nobody",
        [get(CONFIGS, 401, {"reason": "Unauthorized", "message": "Unauthorized"}).by("nonsense")],
    ),
]
