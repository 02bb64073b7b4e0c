"""deploy/security/: what the policies let through, by the very expressions that a cluster would evaluate."""

from __future__ import annotations

import copy
import json
from typing import Any

import celpy
import pytest
from regopy import Interpreter

from tests.deploy.manifests import DEPLOY, Object, documents, of_kind, problems, render, workloads

SECURITY = DEPLOY / "security"
OBJECTS = documents(SECURITY / "image-policy.yaml")
POLICIES = {obj["metadata"]["name"]: obj for obj in of_kind(OBJECTS, "ValidatingAdmissionPolicy")}
DIGEST = "sha256:" + "a" * 64
OVERLAY = render(DEPLOY / "kustomize" / "overlays" / "single-cluster")


def denied(policy: str, obj: Object) -> list[str]:
    """The messages of the validations that an object fails, evaluated as CEL."""
    spec = POLICIES[policy]["spec"]
    environment = celpy.Environment()

    def evaluate(expression: str, context: dict[str, Any]) -> Any:
        return environment.program(environment.compile(expression)).evaluate(context)

    given = {"object": celpy.json_to_cel(obj)}
    (variable,) = spec["variables"]
    images = evaluate(variable["expression"], given)
    with_variables = {
        **given,
        "variables": celpy.celtypes.MapType({celpy.celtypes.StringType(variable["name"]): images}),
    }
    return [each["message"] for each in spec["validations"] if not evaluate(each["expression"], with_variables)]


def pod(*images: str, **more: Any) -> Object:
    return {"spec": {"containers": [{"image": image} for image in images], **more}}


def rollout(*images: str) -> Object:
    return {"spec": {"template": pod(*images)}}


@pytest.mark.parametrize("tag", [":1.1.0", f"@{DIGEST}", f":1.1.0@{DIGEST}"])
def test_a_pinned_image_of_the_registry_runs(tag: str) -> None:
    image = f"registry.internal/payments/checkout{tag}"
    assert denied("images-of-pods", pod(image, initContainers=[{"image": image}])) == []
    assert denied("images-of-rollouts", rollout(image)) == []


@pytest.mark.parametrize(
    "image",
    [
        "nginx:1.27",
        "docker.io/registry.internal/x:1",
        "registry.internal.evil.example/x:1",
        "registry.internal/payments/checkout",
        "registry.internal/payments/checkout:latest",
        "registry.internal:5000/x",
    ],
)
def test_any_other_does_not(image: str) -> None:
    good = f"registry.internal/a@{DIGEST}"
    assert denied("images-of-pods", pod(image))
    assert denied("images-of-pods", pod(good, image))
    assert denied("images-of-pods", pod(good, initContainers=[{"image": image}]))
    assert denied("images-of-pods", pod(good, ephemeralContainers=[{"image": image}]))
    assert denied("images-of-rollouts", rollout(image))


def test_a_rollout_that_borrows_its_template_is_judged_by_its_pods() -> None:
    assert denied("images-of-rollouts", {"spec": {"workloadRef": {"name": "checkout"}}}) == []


def test_tidegates_own_pods_pass() -> None:
    for _, template in workloads(OVERLAY):
        assert denied("images-of-pods", template) == []
    (namespace,) = of_kind(OVERLAY, "Namespace")
    for binding in of_kind(OBJECTS, "ValidatingAdmissionPolicyBinding"):
        labels = binding["spec"]["matchResources"]["namespaceSelector"]["matchLabels"]
        assert labels.items() <= namespace["metadata"]["labels"].items()
        assert binding["spec"]["policyName"] in POLICIES
        assert "Deny" in binding["spec"]["validationActions"]


def test_every_object_is_valid() -> None:
    assert [problem for obj in documents(SECURITY) for problem in problems(obj)] == []


def judged(obj: Object) -> tuple[str, str]:
    """Wiz's verdict on an object, and what it found."""
    rego = Interpreter()
    rego.add_module("rule", (SECURITY / "wiz" / "tidegate-manifests.rego").read_text())
    rego.set_input(obj)

    def ask(rule: str) -> str:
        return str(json.loads(str(rego.query(f"data.wiz.{rule}")))["expressions"][0])

    return ask("result"), ask("currentConfiguration")


def test_wiz_finds_nothing_in_what_is_deployed() -> None:
    for obj in of_kind(OVERLAY, "Deployment", "WorkerDeployment", "ClusterRole"):
        assert judged(obj)[0] == "pass", (obj["metadata"]["name"], judged(obj)[1])


@pytest.mark.parametrize(
    ("kind", "path", "value", "found"),
    [
        ("ClusterRole", ("rules", 0, "verbs"), ["*"], "every one of its verbs"),
        ("ClusterRole", ("rules", 0, "resources"), ["secrets"], "Secrets"),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "image"), "nginx:1", "image nginx:1"),
        ("Deployment", ("spec", "template", "spec", "securityContext", "runAsNonRoot"), False, "as root"),
        (
            "WorkerDeployment",
            ("spec", "template", "spec", "containers", 0, "securityContext", "readOnlyRootFilesystem"),
            False,
            "can write to its image",
        ),
    ],
)
def test_wiz_would_find_it(kind: str, path: tuple[Any, ...], value: Any, found: str) -> None:
    obj = copy.deepcopy(of_kind(OVERLAY, kind)[0])
    at: Any = obj
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    verdict, text = judged(obj)
    assert verdict == "fail"
    assert found in text


def patched(change: Any, user: str = "system:serviceaccount:tidegate:tidegate-cluster") -> list[str]:
    """The messages of what a patch of a running pod fails, evaluated as CEL; empty when it is let through."""
    (policy,) = of_kind(OVERLAY, "ValidatingAdmissionPolicy")
    before = {
        "metadata": {"labels": {"role": "canary"}, "ownerReferences": [{"uid": "1"}]},
        "spec": {"containers": [{"image": "registry.internal/a:1"}], "nodeName": "n"},
        "status": {"phase": "Running"},
    }
    after = copy.deepcopy(before)
    change(after)
    environment = celpy.Environment()
    request = {"userInfo": {"username": user}}
    given = {"object": celpy.json_to_cel(after), "oldObject": celpy.json_to_cel(before)}
    given["request"] = celpy.json_to_cel(request)

    def holds(expression: str) -> bool:
        return bool(environment.program(environment.compile(expression)).evaluate(given))

    if not all(holds(each["expression"]) for each in policy["spec"]["matchConditions"]):
        return []
    return [each["message"] for each in policy["spec"]["validations"] if not holds(each["expression"])]


def test_the_cluster_worker_patches_metadata_of_pods_and_nothing_else() -> None:
    def with_image(pod: Object) -> None:
        pod["spec"]["containers"][0]["image"] = "registry.internal/evil:1"

    assert patched(lambda pod: pod["metadata"].update(labels={"role": "stable"}, annotations={"a": "b"})) == []
    assert "nothing of its spec" in patched(with_image)[0]
    assert patched(lambda pod: pod["spec"].update(activeDeadlineSeconds=1))
    assert patched(lambda pod: pod["spec"].update(ephemeralContainers=[{"image": "x"}]))
    assert patched(lambda pod: pod["status"].update(phase="Failed"))
    assert patched(lambda pod: pod.pop("status"))
    assert patched(lambda pod: pod["metadata"].update(ownerReferences=[]))
    assert patched(lambda pod: pod["metadata"].pop("ownerReferences"))
    assert patched(with_image, user="system:serviceaccount:kube-system:replicaset-controller") == []


def test_the_policy_of_pods_holds_everywhere_and_names_the_account_that_may_patch_them() -> None:
    (policy,) = of_kind(OVERLAY, "ValidatingAdmissionPolicy")
    (binding,) = of_kind(OVERLAY, "ValidatingAdmissionPolicyBinding")
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny", "Audit"]}
    assert (policy["spec"]["failurePolicy"], "namespace" in policy["metadata"]) == ("Fail", False)
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert ("pods" in rule["resources"], rule["operations"]) == (True, ["UPDATE"])
    patchers = {
        role["metadata"]["name"]
        for role in of_kind(OVERLAY, "ClusterRole", "Role")
        for each in role["rules"]
        if "pods" in each["resources"] and "patch" in each["verbs"]
    }
    assert patchers == {"tidegate-cluster"}
    (condition,) = policy["spec"]["matchConditions"]
    (account,) = [each for each in of_kind(OVERLAY, "ServiceAccount") if each["metadata"]["name"] == "tidegate-cluster"]
    named = f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"
    assert f"'{named}'" in condition["expression"]


def test_pipelines_are_led_to_start_and_wait_alone() -> None:
    (route,) = of_kind(documents(SECURITY / "pipeline-gateway.yaml"), "VirtualService")
    (http,) = route["spec"]["http"]
    assert {(next(iter(each["uri"].values())), each["method"]["exact"]) for each in http["match"]} == {
        ("/v1/releases", "POST"),
        ("/v1/releases/", "GET"),
    }
    target = http["route"][0]["destination"]
    (service,) = [obj for obj in of_kind(OVERLAY, "Service") if obj["metadata"]["name"] == target["host"]]
    assert service["spec"]["ports"][0]["port"] == target["port"]["number"]


def test_the_gateway_leads_to_the_watchers_door_alone() -> None:
    (route,) = of_kind(documents(SECURITY / "detections-gateway.yaml"), "VirtualService")
    (http,) = route["spec"]["http"]
    assert http["match"] == [{"uri": {"exact": "/detections"}, "method": {"exact": "POST"}}]
    target = http["route"][0]["destination"]
    (service,) = [obj for obj in of_kind(OVERLAY, "Service") if obj["metadata"]["name"] == target["host"]]
    assert service["spec"]["ports"][0]["port"] == target["port"]["number"]
