"""What a server turns away: names, metadata, numbers, workloads."""

from __future__ import annotations

from typing import Any

from tests.conformance.asking import Among, Has, Object, Row, merge, post
from tests.conformance.objects import (
    CONFIGS,
    DEPLOYMENTS,
    ROLLOUTS,
    SERVICES,
    SETS,
    config,
    rollout,
    service,
    template,
    with_metadata,
    workload,
)

INT32 = 2**31
TOO_LONG = {"field": "metadata.annotations", "reason": "FieldValueTooLong"}


def invalid(kind: str, group: str, name: str, *fields: tuple[str, str]) -> Object:
    """A 422 that names these fields and why, in any order of the server's own."""
    full = f"{kind}.{group}" if group else kind
    details: Object = {"name": name, "kind": kind, "causes": [{"field": field, "reason": why} for field, why in fields]}
    return {
        "kind": "Status",
        "status": "Failure",
        "reason": "Invalid",
        "code": 422,
        "message": Has(f'{full} "{name}" is invalid: '),
        "details": {**details, "group": group} if group else details,
    }


def _changed(kind: str, **spec: Any) -> Object:
    return workload(kind, "web", **spec)


def _named(name: str) -> list[Any]:
    return [
        post(CONFIGS, config(name), 422, invalid("ConfigMap", "", name, ("metadata.name", "FieldValueInvalid"))),
        post(
            ROLLOUTS,
            rollout(name),
            422,
            {"reason": "Invalid", "details": {"causes": [{"field": "metadata.name", "reason": "FieldValueInvalid"}]}},
        ),
        post(
            SETS,
            with_metadata(workload("ReplicaSet", "x"), name=name),
            422,
            {"reason": "Invalid", "details": {"causes": [{"field": "metadata.name"}]}},
        ),
    ]


ROWS = [
    *(
        Row(f"the name {name[:12]!r} of {len(name)}", _named(name))
        for name in ("Upper", "under_score", "-dash", "end-", "dots..two", "a" * 254, "a b")
    ),
    Row(
        "names as long as they may be",
        [
            post(CONFIGS, config("a" * 253), 201),
            post(ROLLOUTS, rollout("a" * 253), 201),
            post(CONFIGS, config("a.b-c.1"), 201),
        ],
    ),
    Row(
        "a Service's name is a label",
        [
            post(SERVICES, service("a.b"), 422, invalid("Service", "", "a.b", ("metadata.name", "FieldValueInvalid"))),
            post(SERVICES, service("1a"), 422, invalid("Service", "", "1a", ("metadata.name", "FieldValueInvalid"))),
            post(SERVICES, service("a" * 64), 422, {"reason": "Invalid"}),
            post(SERVICES, service("a" * 63), 201),
        ],
    ),
    Row(
        "an object without a name",
        [
            post(
                CONFIGS,
                {"metadata": {}},
                422,
                {
                    "reason": "Invalid",
                    "details": {"causes": [{"field": "metadata.name", "reason": "FieldValueRequired"}]},
                },
            )
        ],
    ),
    *(
        Row(
            f"labels and annotations of a {kind}",
            [
                post(
                    path,
                    with_metadata(make, labels={"a": "no spaces"}),
                    422,
                    {
                        "reason": "Invalid",
                        "details": {"causes": [{"field": "metadata.labels", "reason": "FieldValueInvalid"}]},
                    },
                ),
                post(
                    path,
                    with_metadata(make, labels={"no spaces": "a"}),
                    422,
                    {"details": {"causes": [{"field": "metadata.labels"}]}},
                ),
                post(
                    path,
                    with_metadata(make, labels={"a": "x" * 64}),
                    422,
                    {"details": {"causes": [{"field": "metadata.labels"}]}},
                ),
                post(
                    path,
                    with_metadata(make, labels={"a/b/c": "x"}),
                    422,
                    {"details": {"causes": [{"field": "metadata.labels"}]}},
                ),
                post(
                    path,
                    with_metadata(make, annotations={"no spaces": "a"}),
                    422,
                    {"details": {"causes": [{"field": "metadata.annotations"}]}},
                ),
                post(
                    path,
                    with_metadata(make, annotations={"a": "x" * 262_145}),
                    422,
                    {
                        "details": {
                            "causes": Among(
                                [{"field": "metadata.annotations", "reason": "FieldValueTooLong"}], more=True
                            )
                        }
                    },
                ),
                post(
                    path, with_metadata(make, labels={"example.com/a": "x" * 63}, annotations={"a": "any thing"}), 201
                ),
            ],
        )
        for kind, path, make in (("ConfigMap", CONFIGS, config("m")), ("Rollout", ROLLOUTS, rollout("m")))
    ),
    Row(
        "metadata of another type",
        [
            post(CONFIGS, config("c", labels={"a": 1}), 400, {"reason": "BadRequest"}),
            post(ROLLOUTS, with_metadata(rollout("web"), labels={"a": 1}), 400, {"reason": "BadRequest"}),
            post(CONFIGS, config("c", {"a": 1}), 400, {"reason": "BadRequest"}),
        ],
    ),
    Row(
        "finalizers and owners have rules",
        [
            post(
                CONFIGS,
                config("c", finalizers=["plain"]),
                422,
                {"details": {"causes": [{"field": "metadata.finalizers[0]"}]}},
            ),
            post(
                CONFIGS,
                config("c", ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}]),
                422,
                {"reason": "Invalid"},
            ),
            post(
                CONFIGS,
                config(
                    "c",
                    ownerReferences=[
                        {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "controller": True}
                        for name in ("x", "y")
                    ],
                ),
                422,
                {"reason": "Invalid", "details": {"causes": [{"field": "metadata.ownerReferences"}]}},
            ),
        ],
    ),
    *(
        Row(
            f"numbers of a {kind}",
            [
                post(path, _changed(kind, replicas=INT32), 400, {"reason": "BadRequest"}),
                post(path, _changed(kind, replicas="3"), 400, {"reason": "BadRequest"}),
                post(path, _changed(kind, replicas=1.5), 400, {"reason": "BadRequest"}),
                post(
                    path,
                    _changed(kind, replicas=-1),
                    422,
                    invalid(kind, "apps", "web", ("spec.replicas", "FieldValueInvalid")),
                ),
                post(
                    path,
                    _changed(kind, minReadySeconds=-1),
                    422,
                    {"details": {"causes": [{"field": "spec.minReadySeconds", "reason": "FieldValueInvalid"}]}},
                ),
                post(
                    path,
                    _changed(kind, minReadySeconds=INT32 - 1, progressDeadlineSeconds=None),
                    422 if kind == "Deployment" else 201,
                ),
            ],
        )
        for kind, path in (("ReplicaSet", SETS), ("Deployment", DEPLOYMENTS))
    ),
    Row(
        "numbers of a Rollout",
        [
            post(
                ROLLOUTS,
                rollout("web", replicas="3"),
                422,
                {
                    "reason": "Invalid",
                    "details": {
                        "kind": "Rollout",
                        "group": "argoproj.io",
                        "causes": Among([{"field": "spec.replicas", "reason": "FieldValueTypeInvalid"}], more=True),
                    },
                },
            ),
            post(ROLLOUTS, rollout("web", replicas=1.5), 422, {"reason": "Invalid"}),
            post(ROLLOUTS, rollout("web", replicas=INT32), 422, {"reason": "Invalid"}),
            # The schema's int32 is only said, not judged: whoever reads it has to judge.
            post(ROLLOUTS, rollout("below", minReadySeconds=-INT32 - 1), 201),
            post(ROLLOUTS, rollout("web", replicas=INT32 - 1), 201),
        ],
    ),
    Row(
        "a workload's selector",
        [
            post(
                SETS,
                _changed("ReplicaSet", template=template({"app": "other"})),
                422,
                {"details": {"causes": [{"field": "spec.template.metadata.labels", "reason": "FieldValueInvalid"}]}},
            ),
            post(SETS, _changed("ReplicaSet", selector={}), 422, {"reason": "Invalid"}),
            post(SETS, workload("ReplicaSet", "web"), 201),
            merge(
                f"{SETS}/web",
                {
                    "spec": {
                        "selector": {"matchLabels": {"app": "z"}},
                        "template": {"metadata": {"labels": {"app": "z"}}},
                    }
                },
                422,
                {"details": {"causes": [{"field": "spec.selector", "reason": "FieldValueInvalid"}]}},
            ),
        ],
    ),
    Row(
        "a workload's containers",
        [
            post(
                SETS,
                _changed("ReplicaSet", template=template(containers=[])),
                422,
                invalid("ReplicaSet", "apps", "web", ("spec.template.spec.containers", "FieldValueRequired")),
            ),
            post(
                SETS,
                _changed("ReplicaSet", template=template(containers=[{"image": "a:1"}])),
                422,
                {
                    "details": {
                        "causes": [{"field": "spec.template.spec.containers[0].name", "reason": "FieldValueRequired"}]
                    }
                },
            ),
            post(
                SETS,
                _changed("ReplicaSet", template=template(containers=[{"name": "a"}])),
                422,
                {
                    "details": {
                        "causes": [{"field": "spec.template.spec.containers[0].image", "reason": "FieldValueRequired"}]
                    }
                },
            ),
            post(
                SETS,
                _changed(
                    "ReplicaSet",
                    template=template(containers=[{"name": "a", "image": "a"}, {"name": "a", "image": "b"}]),
                ),
                422,
                {
                    "details": {
                        "causes": [{"field": "spec.template.spec.containers[1].name", "reason": "FieldValueDuplicate"}]
                    }
                },
            ),
            post(
                SETS,
                _changed("ReplicaSet", template=template(restartPolicy="Never")),
                422,
                {
                    "details": {
                        "causes": [{"field": "spec.template.spec.restartPolicy", "reason": "FieldValueNotSupported"}]
                    }
                },
            ),
        ],
    ),
    Row(
        "a Service's ports",
        [
            post(
                SERVICES, service("s", ports=[]), 422, invalid("Service", "", "s", ("spec.ports", "FieldValueRequired"))
            ),
            post(SERVICES, service("s", ports=[{"port": 0}]), 422, {"reason": "Invalid"}),
            post(SERVICES, service("s", ports=[{"port": 80}, {"port": 81}]), 422, {"reason": "Invalid"}),
        ],
    ),
]
