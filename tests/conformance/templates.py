"""What a server fills in: the defaults of pod templates and of what is around them."""

from __future__ import annotations

from typing import Any

from tests.conformance.asking import ABSENT, ARGO, TIDEGATE, Exactly, Has, Object, Row, post
from tests.conformance.objects import (
    CORE,
    DEPLOYMENTS,
    JOBS,
    PODS,
    ROLLOUTS,
    SERVICES,
    SETS,
    pod,
    rollout,
    service,
    template,
    workload,
)

_FILLED_POD: Object = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_FILLED_CONTAINER: Object = {
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE: Object = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
_MODE = 0o644


def _asked(**container: Any) -> Object:
    return template(containers=[{"name": "app", "image": "app:1", **container}])


def _stored(**container: Any) -> Object:
    filled = {"name": "app", "image": "app:1", **_FILLED_CONTAINER, **container}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {**_FILLED_POD, "containers": [filled]}}


def _pod_spec(stored: Object, **more: Any) -> Object:
    return {**stored, "spec": {**stored["spec"], **more}}


_HTTP_PROBE = {"httpGet": {"port": 80}}
_HTTP_PROBE_STORED = {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, **_PROBE}
_PROBES = {
    "readinessProbe": _HTTP_PROBE,
    "livenessProbe": {"grpc": {"port": 9}},
    "startupProbe": {"tcpSocket": {"port": 9}},
}
_PROBES_STORED = {
    "readinessProbe": _HTTP_PROBE_STORED,
    "livenessProbe": {"grpc": {"port": 9, "service": ""}, **_PROBE},
    "startupProbe": {"tcpSocket": {"port": 9}, **_PROBE},
}
_HOOKS = {"lifecycle": {"preStop": {"httpGet": {"port": 80}}, "postStart": {"exec": {"command": ["true"]}}}}
_HOOKS_STORED = {
    "lifecycle": {
        "preStop": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}},
        "postStart": {"exec": {"command": ["true"]}},
    }
}
_FIELD = {"fieldPath": "metadata.name"}
_FIELD_STORED = {"apiVersion": "v1", "fieldPath": "metadata.name"}
_ENV: list[Object] = [
    {"name": "EMPTY", "value": ""},
    {"name": "POD", "valueFrom": {"fieldRef": _FIELD}},
    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
]
_ENV_STORED: list[Object] = [
    {"name": "EMPTY"},
    {"name": "POD", "valueFrom": {"fieldRef": _FIELD_STORED}},
    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"divisor": "0", "resource": "limits.cpu"}}},
    {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
]
_VOLUMES: list[Object] = [
    {"name": "none"},
    {"name": "empty", "emptyDir": {}},
    {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1024Mi"}},
    {"name": "secret", "secret": {"secretName": "s"}},
    {"name": "config", "configMap": {"name": "c", "defaultMode": 256}},
    {"name": "host", "hostPath": {"path": "/tmp"}},
    {"name": "down", "downwardAPI": {"items": [{"path": "name", "fieldRef": _FIELD}]}},
    {
        "name": "all",
        "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "c"}}]},
    },
    {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}},
]
_VOLUMES_STORED: list[Object] = [
    {"name": "none", "emptyDir": {}},
    {"name": "empty", "emptyDir": {}},
    {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    {"name": "secret", "secret": {"defaultMode": _MODE, "secretName": "s"}},
    {"name": "config", "configMap": {"name": "c", "defaultMode": 256}},
    {"name": "host", "hostPath": {"path": "/tmp", "type": ""}},
    {"name": "down", "downwardAPI": {"defaultMode": _MODE, "items": [{"path": "name", "fieldRef": _FIELD_STORED}]}},
    {
        "name": "all",
        "projected": {
            "defaultMode": _MODE,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3600, "path": "token"}},
                {"configMap": {"name": "c"}},
            ],
        },
    },
    {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}},
]
_PORTS = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]
_PORTS_STORED = [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
_ACCOUNT = {"serviceAccount": "web", "serviceAccountName": "web"}
_QUANTITIES = {"resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 2, "memory": "2e9"}}}
_QUANTITIES_STORED = {
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2e9"}}
}

TEMPLATES: dict[str, tuple[Object, Object]] = {
    "with nothing more": (_asked(), _stored()),
    "with the tag latest": (_asked(image="app:latest"), _stored(image="app:latest", imagePullPolicy="Always")),
    "without a tag": (_asked(image="reg:5000/app"), _stored(image="reg:5000/app", imagePullPolicy="Always")),
    "with ports": (_asked(ports=_PORTS), _stored(ports=_PORTS_STORED)),
    "with probes": (_asked(**_PROBES), _stored(**_PROBES_STORED)),
    "with hooks": (_asked(**_HOOKS), _stored(**_HOOKS_STORED)),
    "with an environment": (_asked(env=_ENV), _stored(env=_ENV_STORED)),
    "with volumes": (template(volumes=_VOLUMES), _pod_spec(_stored(), volumes=_VOLUMES_STORED)),
    "with an account": (template(serviceAccountName="web"), _pod_spec(_stored(), **_ACCOUNT)),
    "with an account by its old name": (template(serviceAccount="web"), _pod_spec(_stored(), **_ACCOUNT)),
    "with quantities": (_asked(**_QUANTITIES), _stored(**_QUANTITIES_STORED)),
    "with nulls": (
        template(nodeSelector=None, securityContext=None, terminationGracePeriodSeconds=None),
        _stored(),
    ),
    "with empty lists": (template(volumes=[], tolerations=[], initContainers=[]), _stored()),
    "on the host's network": (
        template(hostNetwork=True, containers=[{"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}]),
        _pod_spec(_stored(ports=[{"containerPort": 80, "protocol": "TCP"}]), hostNetwork=True),
    ),
}
"""What is asked for, and what stands in a ReplicaSet then."""


def _with_template(name: str, asked: Object, stored: Object) -> list[Row]:
    rows = []
    for kind, path in (("ReplicaSet", SETS), ("Deployment", DEPLOYMENTS)):
        says = {"spec": {"template": Exactly(stored)}}
        rows.append(Row(f"{kind} {name}", [post(path, workload(kind, "web", template=asked), 201, says)]))
    return rows


ALL_IN_ONE: Object = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [{"name": "app", "image": "app:1", "ports": _PORTS, "env": _ENV[1:2], **_PROBES, **_QUANTITIES}],
        "volumes": _VOLUMES,
        "serviceAccountName": "web",
    },
}
UNDER_ARGO: Object = {
    **ALL_IN_ONE,
    "spec": {
        **ALL_IN_ONE["spec"],
        "containers": [
            {
                **ALL_IN_ONE["spec"]["containers"][0],
                "ports": _PORTS_STORED,
                "livenessProbe": {"grpc": {"port": 9, "service": ""}},
            }
        ],
    },
}

_STRATEGY = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}

ROWS = [
    *(row for name, (asked, stored) in TEMPLATES.items() for row in _with_template(name, asked, stored)),
    Row(
        "Rollout under its own CRDs is stored as it came",
        [
            post(
                ROLLOUTS,
                rollout("web", template=ALL_IN_ONE),
                201,
                {"spec": Exactly({**rollout("web")["spec"], "template": ALL_IN_ONE})},
            )
        ],
        under=TIDEGATE,
    ),
    Row(
        "Rollout under Argo's CRDs has what their schema fills in",
        [
            post(
                ROLLOUTS,
                rollout("web", template=ALL_IN_ONE),
                201,
                {"spec": Exactly({**rollout("web")["spec"], "template": UNDER_ARGO})},
            )
        ],
        under=ARGO,
    ),
    Row(
        "Deployment around its template",
        [
            post(
                DEPLOYMENTS,
                {
                    **workload("Deployment", "web"),
                    "spec": {"paused": True, "selector": {"matchLabels": {"app": "web"}}, "template": template()},
                },
                201,
                {
                    "spec": Exactly(
                        {
                            "paused": True,
                            "progressDeadlineSeconds": 600,
                            "replicas": 1,
                            "revisionHistoryLimit": 10,
                            "selector": {"matchLabels": {"app": "web"}},
                            "strategy": _STRATEGY,
                            "template": _stored(),
                        }
                    )
                },
            )
        ],
    ),
    Row(
        "ReplicaSet around its template",
        [
            post(
                f"{SETS}?dryRun=All",
                {
                    **workload("ReplicaSet", "web"),
                    "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template()},
                },
                201,
                {
                    "spec": Exactly(
                        {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": _stored()}
                    ),
                    "status": Exactly({"replicas": 0}),
                },
            )
        ],
    ),
    Row(
        "Pod of its own",
        [
            post(
                PODS,
                pod("web", containers=[{"name": "app", "image": "app:1", "resources": {"limits": {"cpu": "0.5"}}}]),
                201,
                {
                    "spec": Exactly(
                        {
                            **_FILLED_POD,
                            "automountServiceAccountToken": False,
                            "containers": [
                                {
                                    "name": "app",
                                    "image": "app:1",
                                    **_FILLED_CONTAINER,
                                    "resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}},
                                }
                            ],
                            "enableServiceLinks": True,
                            "preemptionPolicy": "PreemptLowerPriority",
                            "priority": 0,
                            "serviceAccount": "default",
                            "serviceAccountName": "default",
                            "tolerations": [
                                {
                                    "effect": "NoExecute",
                                    "key": f"node.kubernetes.io/{state}",
                                    "operator": "Exists",
                                    "tolerationSeconds": 300,
                                }
                                for state in ("not-ready", "unreachable")
                            ],
                        }
                    ),
                    "status": {"phase": "Pending", "qosClass": "Burstable"},
                },
            ).within(20)
        ],
    ),
    Row(
        "Job",
        [
            post(
                f"{JOBS}?dryRun=All",
                {
                    "metadata": {"name": "j"},
                    "spec": {
                        "template": {
                            "spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": "app:1"}]}
                        }
                    },
                },
                201,
                {
                    "spec": {
                        "backoffLimit": 6,
                        "completionMode": "NonIndexed",
                        "completions": 1,
                        "manualSelector": False,
                        "parallelism": 1,
                        "podReplacementPolicy": "TerminatingOrFailed",
                        "suspend": False,
                        "template": {
                            "metadata": {"labels": {"batch.kubernetes.io/job-name": "j", "job-name": "j"}},
                            "spec": Exactly({**_stored()["spec"], "restartPolicy": "Never"}),
                        },
                    },
                    "status": Exactly({}),
                },
            )
        ],
    ),
    Row(
        "Service",
        [
            post(
                SERVICES,
                service("web"),
                201,
                {
                    "spec": {
                        "type": "ClusterIP",
                        "sessionAffinity": "None",
                        "internalTrafficPolicy": "Cluster",
                        "ipFamilyPolicy": "SingleStack",
                        "ports": [Exactly({"port": 80, "protocol": "TCP", "targetPort": 80})],
                        "clusterIP": Has("10."),
                    },
                    "status": Exactly({"loadBalancer": {}}),
                },
            )
        ],
    ),
    Row(
        "Secret's text",
        [
            post(
                f"{CORE}/secrets",
                {"metadata": {"name": "s"}, "stringData": {"a": "b"}},
                201,
                {"type": "Opaque", "data": Exactly({"a": "Yg=="}), "stringData": ABSENT},
            )
        ],
    ),
]
