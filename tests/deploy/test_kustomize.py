"""The overlays: valid, restricted, and at one with the program's own settings."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from tests.deploy.manifests import DEPLOY, Object, documents, of_kind, problems, render, workloads
from workers.settings import Settings, load_settings

ENCRYPTED = "single-cluster-encrypted"
INJECTED = "single-cluster-injected"
FILES = "single-cluster-without-vault"
BESIDE_ARGO = "single-cluster-beside-argo"
PAGE = "single-cluster-web"
ROUTERS = "single-cluster-all-routers"
OVERLAYS = (
    "single-cluster",
    "release-plane",
    "per-cluster-worker",
    ENCRYPTED,
    INJECTED,
    FILES,
    BESIDE_ARGO,
    PAGE,
    ROUTERS,
)
PLANE = {"workflows", "metrics", "follow-up", "gateway", "codec"}
CLUSTER = {"cluster", "watcher"}
HELD = {
    **dict.fromkeys(("single-cluster", ENCRYPTED, INJECTED, FILES, BESIDE_ARGO, ROUTERS), PLANE | CLUSTER),
    PAGE: PLANE | CLUSTER | {"web"},
    "release-plane": PLANE,
    "per-cluster-worker": CLUSTER,
}
# Set by Temporal's Worker Controller in what it runs.
BY_THE_CONTROLLER = {"TEMPORAL_DEPLOYMENT_NAME": "tidegate/tidegate", "TEMPORAL_WORKER_BUILD_ID": "7d9c"}


def overlay(name: str) -> list[Object]:
    return copy.deepcopy(render(DEPLOY / "kustomize" / "overlays" / name))


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    return overlay(request.param)


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_holds_its_processes(name: str) -> None:
    assert {component for component, _ in workloads(overlay(name))} == HELD[name]


def test_with_encryption_every_process_has_the_keys_that_the_codec_server_reads() -> None:
    objects = overlay(ENCRYPTED)
    files = {
        environment(objects, template["spec"]).get("TIDEGATE_CODEC__KEY_FILE") for _, template in workloads(objects)
    }
    assert files == {"/etc/tidegate/codec/keys.json"}
    for component, template in workloads(objects):
        mounts = {each["name"]: each["mountPath"] for each in template["spec"]["containers"][0]["volumeMounts"]}
        secrets = {
            each["name"]: each["secret"]["secretName"] for each in template["spec"]["volumes"] if "secret" in each
        }
        assert (mounts["keys"], secrets["keys"]) == ("/etc/tidegate/codec", "tidegate-codec-keys"), component


def test_without_vault_credentials_are_files_and_nobody_has_a_right_on_secrets() -> None:
    objects = overlay(FILES)
    wanted = {"metrics": ["argo-rollouts/datadog"], "watcher": ["tidegate/falcon"]}
    wanted["follow-up"] = [f"tidegate/{name}" for name in ("git", "servicenow", "slack")]
    for component, template in workloads(objects):
        variables, (container,) = environment(objects, template["spec"]), template["spec"]["containers"]
        assert not any(name.startswith("TIDEGATE_VAULT__") for name in variables)
        folder = "/etc/tidegate/secrets/secret/"
        mounted = [each["mountPath"] for each in container["volumeMounts"] if each["mountPath"].startswith(folder)]
        assert sorted(path.removeprefix(folder) for path in mounted) == wanted.get(component, [])
        assert (variables.get("TIDEGATE_SECRETS__FOLDER") == "/etc/tidegate/secrets") is bool(mounted)
    for role in of_kind(objects, "Role", "ClusterRole"):
        assert not any("secrets" in rule["resources"] for rule in role["rules"])


def test_every_object_is_valid_for_each_supported_version(objects: list[Object]) -> None:
    assert [problem for obj in objects for problem in problems(obj)] == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "contianers"), []),
        ("NetworkPolicy", ("spec", "egress"), "all"),
        ("ServiceMonitor", ("spec", "endpoint"), []),
        ("WorkerDeployment", ("spec", "sunset"), None),
        ("WorkerDeployment", ("spec", "template", "spec", "contianers"), []),
        ("AuthorizationPolicy", ("spec", "action"), "PERMIT"),
    ],
)
def test_a_mistake_is_refused(kind: str, path: tuple[str, ...], value: Any) -> None:
    obj = of_kind(overlay("single-cluster"), kind)[0]
    at = obj
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert problems(obj) != []


def violations(spec: Object) -> list[str]:
    """What the Pod Security Standard `restricted` forbids: https://kubernetes.io/docs/concepts/security/pod-security-standards/."""
    pod = spec.get("securityContext", {})
    found = [f"host: {key}" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found += [f"volume {each['name']}" for each in spec.get("volumes", []) if not allowed & each.keys()]
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        own = container.get("securityContext", {})
        merged = {**pod, **own}
        checks = {
            "privileged": not merged.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": merged.get("runAsNonRoot") is True and merged.get("runAsUser") != 0,
            "seccompProfile": merged.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "capabilities": own.get("capabilities", {}) == {"drop": ["ALL"]},
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
        }
        found += [f"{container['name']}: {name}" for name, holds in checks.items() if not holds]
    return found


def test_pods_are_restricted_and_read_only(objects: list[Object]) -> None:
    for component, template in workloads(objects):
        spec = template["spec"]
        assert violations(spec) == [], component
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"requests", "limits"} <= container["resources"].keys()
            probes = {"startupProbe", "livenessProbe", "readinessProbe"}
            assert probes <= container.keys()
        assert len(spec["topologySpreadConstraints"]) == 2


def test_what_is_not_restricted_is_found() -> None:
    _, template = workloads(overlay("single-cluster"))[0]
    spec = template["spec"]
    spec["containers"][0]["securityContext"]["capabilities"] = {"add": ["NET_ADMIN"]}
    spec["hostNetwork"] = True
    spec["volumes"].append({"name": "root", "hostPath": {"path": "/"}})
    assert len(violations(spec)) == 3


def test_only_those_that_ask_the_api_server_have_a_token_for_it(objects: list[Object]) -> None:
    for component, template in workloads(objects):
        assert template["spec"]["serviceAccountName"] == f"tidegate-{component}"
        assert template["spec"]["automountServiceAccountToken"] is (component in CLUSTER)
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def environment(objects: list[Object], spec: Object) -> dict[str, str]:
    (container,) = spec["containers"]
    found: dict[str, str] = {}
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]
    return found | {each["name"]: each["value"] for each in container.get("env", [])}


def test_every_variable_is_a_setting_that_can_be_used(objects: list[Object], monkeypatch: pytest.MonkeyPatch) -> None:
    for component, template in workloads(objects):
        if component == "codec":
            continue
        variables = environment(objects, template["spec"])
        if component == "workflows":
            variables |= BY_THE_CONTROLLER
        with monkeypatch.context() as patched:
            for name, value in variables.items():
                patched.setenv(name, value)
            settings = load_settings()
        assert isinstance(settings, Settings)
        ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
        assert ports["health"] == settings.health.port
        assert settings.telemetry == f"0.0.0.0:{ports['metrics']}"
        if settings.detections is not None:
            assert ports["http-detections"] == settings.detections.port
        grace = template["spec"]["terminationGracePeriodSeconds"]
        assert grace > settings.graceful_shutdown.total_seconds()


def test_selectors_find_their_pods(objects: list[Object]) -> None:
    pods = [template["metadata"]["labels"] for _, template in workloads(objects)]

    def found(labels: dict[str, str]) -> int:
        return sum(labels.items() <= pod.items() for pod in pods)

    for obj in of_kind(objects, "Service"):
        assert found(obj["spec"]["selector"]) == 1, obj["metadata"]["name"]
    for obj in of_kind(objects, "PodDisruptionBudget", "Deployment"):
        assert found(obj["spec"]["selector"]["matchLabels"]) == 1, obj["metadata"]["name"]
    covered = {obj["metadata"]["name"] for obj in of_kind(objects, "PodDisruptionBudget")}
    assert covered == {f"tidegate-{component}" for component, _ in workloads(objects)}


def test_ports_that_services_name_are_those_of_containers(objects: list[Object]) -> None:
    ports = {c: {p["name"] for p in t["spec"]["containers"][0]["ports"]} for c, t in workloads(objects)}
    for service in of_kind(objects, "Service"):
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[component]
    (monitor,) = of_kind(objects, "ServiceMonitor")
    selected = [
        service
        for service in of_kind(objects, "Service")
        if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ]
    scraped = {service["spec"]["selector"]["app.kubernetes.io/component"] for service in selected}
    assert scraped == {component for component, _ in workloads(objects)} - {"codec"}


def test_what_scales_is_there_and_its_metric_is_defined(objects: list[Object]) -> None:
    deployments = {obj["metadata"]["name"] for obj in of_kind(objects, "Deployment")}
    services = {obj["metadata"]["name"] for obj in of_kind(objects, "Service")}
    (adapter,) = documents(DEPLOY / "kustomize" / "prometheus-adapter.yaml")
    defined = {rule["name"]["as"] for rule in adapter["rules"]["custom"]}
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] in deployments
        (metric,) = scaler["spec"]["metrics"]
        assert metric["object"]["describedObject"]["name"] in services
        assert metric["object"]["metric"]["name"] in defined


def test_one_image_from_one_place(objects: list[Object]) -> None:
    images = {c["image"] for _, template in workloads(objects) for c in template["spec"]["containers"]}
    assert len(images) == 1
    assert re.fullmatch(r"registry\.internal/platform/tidegate(:\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})", images.pop())


def test_no_secret_is_in_a_manifest(objects: list[Object]) -> None:
    assert of_kind(objects, "Secret") == []
    assert not re.search(r"(BEGIN [A-Z ]*PRIVATE KEY|password|hvs\.|xox[bp]-)", json.dumps(objects))
