"""Who owns which field: managed fields after each kind of write, and server-side apply."""

from __future__ import annotations

from typing import Any

from tests.conformance.asking import (
    ABSENT,
    Among,
    Exactly,
    Has,
    Object,
    Row,
    apply,
    get,
    merge,
    patch,
    post,
)
from tests.conformance.objects import CONFIGS, DEPLOYMENTS, ROLLOUTS, ROUTES, config, rollout, routes, workload


def _by(path: str, manager: str) -> str:
    return f"{path}?fieldManager={manager}"


def _entry(manager: str, operation: str, fields: Object, **more: Any) -> Object:
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": Exactly(fields), **more}


def _managed(*entries: Object) -> Object:
    return {"metadata": {"managedFields": Among(entries)}}


_CONFIG = f"{CONFIGS}/c"
_ROLLOUT = f"{ROLLOUTS}/web"
_DEPLOYMENT = f"{DEPLOYMENTS}/web"


def _applied(data: Object, **metadata: Any) -> Object:
    return config("c", data, **metadata)


def _conflicts(*fields: tuple[str, str]) -> Object:
    causes = [
        {"reason": "FieldManagerConflict", "field": field, "message": Has(f'"{manager}"')} for field, manager in fields
    ]
    return {
        "reason": "Conflict",
        "status": "Failure",
        "message": Has("Apply failed with"),
        "details": {"causes": causes},
    }


ROWS = [
    Row(
        "managed fields after a creation and an update",
        [
            post(
                _by(CONFIGS, "ann"),
                config("c", {"a": "1"}),
                201,
                _managed(_entry("ann", "Update", {"f:data": {".": {}, "f:a": {}}}, apiVersion="v1")),
            ),
            merge(
                _by(_CONFIG, "bob"),
                {"data": {"b": "2"}},
                200,
                _managed(
                    _entry("ann", "Update", {"f:data": {".": {}, "f:a": {}}}),
                    _entry("bob", "Update", {"f:data": {"f:b": {}}}),
                ),
            ),
            merge(
                _by(_CONFIG, "bob"),
                {"data": {"a": "2"}},
                200,
                _managed(
                    _entry("ann", "Update", {"f:data": {}}),
                    _entry("bob", "Update", {"f:data": {"f:a": {}, "f:b": {}}}),
                ),
            ),
        ],
    ),
    Row(
        "the manager is what the user agent begins with",
        [
            post(
                CONFIGS,
                config("c", {"a": "1"}),
                201,
                {"metadata": {"managedFields": [{"manager": "python-httpx", "operation": "Update"}]}},
            )
        ],
    ),
    Row(
        "a status has an entry of its own",
        [
            post(
                _by(ROLLOUTS, "ann"),
                rollout("web"),
                201,
                {"metadata": {"managedFields": [{"manager": "ann", "operation": "Update", "subresource": ABSENT}]}},
            ),
            merge(
                _by(f"{_ROLLOUT}/status", "ann"),
                {"status": {"abort": True}},
                200,
                _managed(
                    {"manager": "ann", "operation": "Update", "subresource": ABSENT},
                    _entry("ann", "Update", {"f:status": {".": {}, "f:abort": {}}}, subresource="status"),
                ),
            ),
            merge(
                _by(f"{_ROLLOUT}/status", "bob"),
                {"status": {"abort": None, "phase": "Healthy"}},
                200,
                _managed(
                    {"manager": "ann", "subresource": ABSENT},
                    _entry("ann", "Update", {"f:status": {}}, subresource="status"),
                    _entry("bob", "Update", {"f:status": {"f:phase": {}}}, subresource="status"),
                ),
            ),
        ],
    ),
    Row(
        "managed fields of a scale",
        [
            post(_by(ROLLOUTS, "ann"), rollout("web"), 201),
            merge(_by(f"{_ROLLOUT}/scale", "hpa"), {"spec": {"replicas": 9}}, 200),
            get(
                _ROLLOUT,
                200,
                _managed(
                    {"manager": "ann"}, _entry("hpa", "Update", {"f:spec": {"f:replicas": {}}}, subresource="scale")
                ),
            ),
        ],
    ),
    Row(
        "managed fields of a JSON Patch into a list",
        [
            post(_by(ROUTES, "ann"), routes("web"), 201),
            patch(
                _by(f"{ROUTES}/web", "bob"),
                [{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 90}],
                200,
                _managed({"manager": "ann"}, _entry("bob", "Update", {"f:spec": {"f:http": {}}})),
            ),
        ],
    ),
    Row(
        "managed fields that are set to nothing",
        [
            post(_by(CONFIGS, "ann"), config("c", {"a": "1"}), 201),
            merge(
                _by(_CONFIG, "bob"), {"metadata": {"managedFields": [{}]}}, 200, {"metadata": {"managedFields": ABSENT}}
            ),
        ],
    ),
    Row(
        "apply makes what is not there",
        [
            apply(
                _by(_CONFIG, "ann"),
                _applied({"a": "1"}),
                201,
                {"data": {"a": "1"}, **_managed(_entry("ann", "Apply", {"f:data": {"f:a": {}}}))},
            ),
            get(_CONFIG, 200, {"data": {"a": "1"}}).kept(rv="metadata.resourceVersion"),
            apply(_by(_CONFIG, "ann"), _applied({"a": "1"}), 200, {"metadata": {"resourceVersion": "$rv"}}),
            apply(_by(_CONFIG, "ann"), _applied({"a": "2", "b": "3"}), 200, {"data": Exactly({"a": "2", "b": "3"})}),
            apply(_by(_CONFIG, "ann"), _applied({"b": "3"}), 200, {"data": Exactly({"b": "3"})}),
        ],
    ),
    Row(
        "apply of what another owns is a conflict",
        [
            apply(_by(_CONFIG, "ann"), _applied({"a": "1", "b": "1"}), 201),
            merge(_by(_CONFIG, "bob"), {"data": {"a": "2"}}, 200),
            apply(_by(_CONFIG, "ann"), _applied({"a": "1", "b": "1"}), 409, _conflicts((".data.a", "bob"))),
            apply(
                _by(_CONFIG, "eve"),
                _applied({"a": "3", "b": "3"}),
                409,
                {"reason": "Conflict", "message": Has("Apply failed with 2 conflicts")},
            ),
            apply(
                _by(_CONFIG, "ann") + "&force=true",
                _applied({"a": "1", "b": "1"}),
                200,
                {"data": {"a": "1"}, **_managed(_entry("ann", "Apply", {"f:data": {"f:a": {}, "f:b": {}}}))},
            ),
        ],
    ),
    Row(
        "two who apply the same own it together",
        [
            apply(_by(_CONFIG, "ann"), _applied({"a": "1"}), 201),
            apply(
                _by(_CONFIG, "bob"),
                _applied({"a": "1"}),
                200,
                _managed(
                    _entry("ann", "Apply", {"f:data": {"f:a": {}}}), _entry("bob", "Apply", {"f:data": {"f:a": {}}})
                ),
            ),
            apply(_by(_CONFIG, "ann"), _applied({}), 200, {"data": {"a": "1"}}),
            apply(_by(_CONFIG, "bob"), _applied({}), 200, {"data": ABSENT}),
        ],
    ),
    Row(
        "apply of containers goes by their names",
        [
            apply(_by(_DEPLOYMENT, "ann"), workload("Deployment", "web"), 201),
            merge(
                _by(_DEPLOYMENT, "bob"),
                {"spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}},
                200,
            ),
            apply(
                _by(_DEPLOYMENT, "ann"),
                workload("Deployment", "web"),
                409,
                _conflicts(('.spec.template.spec.containers[name="app"].image', "bob")),
            ),
        ],
    ),
    Row(
        "apply of a custom resource takes a list as a whole",
        [
            apply(_by(f"{ROUTES}/web", "ann"), routes("web"), 201),
            patch(
                _by(f"{ROUTES}/web", "bob"),
                [{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 90}],
                200,
            ),
            apply(_by(f"{ROUTES}/web", "ann"), routes("web"), 409, _conflicts((".spec.http", "bob"))),
            apply(
                _by(f"{ROUTES}/web", "ann") + "&force=true",
                routes("web"),
                200,
                {"spec": {"http": [{"route": [{"weight": 100}, {"weight": 0}]}]}},
            ),
        ],
    ),
    Row(
        "the status of a custom resource is applied by itself",
        [
            apply(_by(_ROLLOUT, "ann"), {**rollout("web"), "status": {"phase": "Paused"}}, 201, {"status": ABSENT}),
            apply(
                _by(f"{_ROLLOUT}/status", "ann"),
                {**rollout("web", replicas=9), "status": {"phase": "Paused"}},
                200,
                {"spec": {"replicas": 3}, "status": {"phase": "Paused"}},
            ),
        ],
    ),
    Row(
        "apply names its manager",
        [apply(_CONFIG, _applied({}), 422, {"reason": "Invalid"})],
    ),
    Row(
        "apply is of what the address names",
        [
            apply(_by(_CONFIG, "ann"), config("d", {}), 400, {"reason": "BadRequest"}),
            apply(_by(_CONFIG, "ann"), {"metadata": {"name": "c"}}, 400, {"reason": "BadRequest"}),
            apply(_by(_CONFIG, "ann"), _applied({}, managedFields=[{"manager": "x"}]), 400, {"reason": "BadRequest"}),
        ],
    ),
    Row(
        "apply with an old version is a conflict",
        [
            apply(_by(_CONFIG, "ann"), _applied({"a": "1"}), 201).kept(rv="metadata.resourceVersion"),
            merge(_by(_CONFIG, "ann"), {"data": {"z": "1"}}, 200),
            apply(_by(_CONFIG, "ann"), _applied({"a": "2"}, resourceVersion="$rv"), 409, {"reason": "Conflict"}),
        ],
    ),
]
