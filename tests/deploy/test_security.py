"""deploy/security/: what the policies let through, by the very expressions that a cluster would evaluate."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from regopy import Interpreter

from tests.deploy import policies
from tests.deploy.manifests import DEPLOY, Object, documents, of_kind, problems, render, workloads
from tidegate.web.access import PageAccess

SECURITY = DEPLOY / "security"
OBJECTS = documents(SECURITY / "image-policy.yaml")
POLICIES = {obj["metadata"]["name"]: obj for obj in of_kind(OBJECTS, "ValidatingAdmissionPolicy")}
DIGEST = "sha256:" + "a" * 64
OVERLAY = render(DEPLOY / "kustomize" / "overlays" / "single-cluster")


def denied(policy: str, obj: Object) -> list[str]:
    """The messages of the validations of images that an object fails."""
    return policies.denied(POLICIES[policy], obj)


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


WORKER = "system:serviceaccount:tidegate:tidegate-cluster"
OF_WORKERS = {obj["metadata"]["name"]: obj for obj in of_kind(OVERLAY, "ValidatingAdmissionPolicy")}
POD = {
    "metadata": {"labels": {"role": "canary"}, "ownerReferences": [{"uid": "1"}]},
    "spec": {"containers": [{"image": "registry.internal/a:1"}], "nodeName": "n"},
    "status": {"phase": "Running"},
}
ROLLOUT = {
    "metadata": {"annotations": {"tidegate.io/bake": "30m", "team": "payments"}, "labels": {"app": "checkout"}},
    "spec": {
        "replicas": 2,
        "template": {"spec": {"containers": [{"image": "registry.internal/a:2"}]}},
        "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}]}},
    },
    "status": {"phase": "Healthy"},
}


def changed(policy: str, before: Object, change: Any, user: str = WORKER) -> list[str]:
    """The messages of what a change of an object fails; empty when it is let through."""
    after = copy.deepcopy(before)
    change(after)
    return policies.denied(OF_WORKERS[policy], after, before, user)


DEPLOYMENT = {
    "metadata": {"annotations": {"team": "payments"}, "labels": {"app": "checkout"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "checkout"}},
        "template": {"spec": {"containers": [{"image": "registry.internal/a:2"}]}},
    },
    "status": {"replicas": 2},
}


def patched(change: Any, user: str = WORKER) -> list[str]:
    """The same of a patch of a running pod."""
    return changed("tidegate-patches-metadata-of-pods", POD, change, user)


def asked(change: Any, user: str = WORKER) -> list[str]:
    """The same of a patch of a Rollout."""
    return changed("tidegate-asks-for-templates-of-rollouts", ROLLOUT, change, user)


def scaled(change: Any, user: str = WORKER, *, undo: str = "") -> list[str]:
    """The same of a patch of a Deployment, whose owner says of `undo` what is given."""
    annotations = {"team": "payments"} | ({"tidegate.io/undo": undo} if undo else {})
    before = {**DEPLOYMENT, "metadata": {"annotations": annotations, "labels": {"app": "checkout"}}}
    return changed("tidegate-scales-deployments", before, change, user)


def test_the_cluster_worker_scales_a_deployment_and_changes_nothing_else_of_it() -> None:
    def annotated(name: str, value: str) -> Any:
        return lambda found: found["metadata"]["annotations"].update({name: value})

    def with_image(found: Object) -> None:
        found["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.internal/evil:1"

    def with_leave_of_its_own(found: Object) -> None:
        with_image(found)
        annotated("tidegate.io/undo", "allowed")(found)

    assert scaled(lambda found: found["spec"].update(replicas=0)) == []
    for name in ("tidegate.io/fence", "tidegate.io/taken-over-by", "tidegate.io/replicas-before"):
        assert scaled(annotated(name, "2")) == []
    assert "tidegate.io/undo=allowed" in scaled(with_image)[0]
    assert scaled(with_image, undo="denied")
    assert scaled(with_image, undo="allowed") == []
    assert len(scaled(with_leave_of_its_own)) == 2
    assert scaled(annotated("tidegate.io/undo", "allowed"))
    assert scaled(lambda found: found["spec"].pop("template"))
    assert scaled(lambda found: found["spec"].update(paused=True), undo="allowed")
    assert scaled(lambda found: found["spec"]["selector"]["matchLabels"].clear())
    assert scaled(lambda found: found["metadata"]["annotations"].pop("team"))
    assert scaled(lambda found: found["metadata"].update(labels={}))
    assert scaled(lambda found: found["metadata"].update(ownerReferences=[{"uid": "1"}]))
    assert scaled(lambda found: found["metadata"].update(finalizers=["mine"]))
    assert scaled(lambda found: found["status"].update(replicas=0))
    assert scaled(with_image, user="system:serviceaccount:argocd:argocd") == []


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


def test_the_cluster_worker_asks_for_a_template_again_and_for_nothing_else_of_a_rollout() -> None:
    def annotated(name: str, value: str) -> Any:
        return lambda rollout: rollout["metadata"]["annotations"].update({name: value})

    def with_template(rollout: Object) -> None:
        rollout["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.internal/a:1"

    assert asked(annotated("tidegate.io/fence", "1.2")) == []
    assert asked(annotated("rollout.argoproj.io/workload-generation", "3")) == []
    assert asked(annotated("rollout.argoproj.io/revision", "3")) == []
    assert asked(with_template) == []
    assert asked(lambda rollout: rollout["spec"].pop("template")) == []
    assert "nothing else of its spec" in asked(lambda rollout: rollout["spec"].update(replicas=0))[0]
    assert asked(lambda rollout: rollout["spec"].update(paused=True))
    assert asked(lambda rollout: rollout["spec"].pop("replicas"))
    assert asked(lambda rollout: rollout["spec"]["strategy"]["canary"].update(steps=[]))
    assert "no other" in asked(annotated("tidegate.io/bake", "0s"))[0]
    assert asked(annotated("mine", "x"))
    assert asked(lambda rollout: rollout["metadata"]["annotations"].pop("tidegate.io/bake"))
    assert asked(lambda rollout: rollout["metadata"].pop("annotations"))
    assert asked(lambda rollout: rollout["metadata"].update(labels={}))
    assert asked(lambda rollout: rollout["metadata"].update(ownerReferences=[{"uid": "1"}]))
    assert asked(lambda rollout: rollout["metadata"].update(finalizers=["mine"]))
    assert asked(lambda rollout: rollout["spec"].update(replicas=0), user="system:serviceaccount:argocd:argocd") == []


def test_the_cluster_worker_writes_the_status_of_an_experiment_and_nothing_else() -> None:
    before = {"metadata": {"annotations": {"team": "payments"}, "labels": {"app": "a"}}, "spec": {"duration": "1h"}}

    def reported(change: Any, user: str = WORKER) -> list[str]:
        return changed("tidegate-reports-of-experiments", before, change, user)

    assert reported(lambda found: found.update(status={"phase": "Running"})) == []
    assert reported(lambda found: found["metadata"]["annotations"].update({"tidegate.io/fence": "1.2"})) == []
    assert "nothing of the spec" in reported(lambda found: found["spec"].update(duration="2h"))[0]
    assert reported(lambda found: found["spec"].update(templates=[]))
    assert reported(lambda found: found["metadata"]["annotations"].update({"mine": "x"}))
    assert reported(lambda found: found["metadata"]["annotations"].pop("team"))
    assert reported(lambda found: found["metadata"].update(labels={}))
    assert reported(lambda found: found["metadata"].update(ownerReferences=[{"uid": "1"}]))
    assert reported(lambda found: found["metadata"].update(finalizers=["mine"]))
    assert reported(lambda found: found["spec"].clear(), user="system:serviceaccount:argocd:argocd") == []


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("tidegate-patches-metadata-of-pods", "pods"),
        ("tidegate-asks-for-templates-of-rollouts", "rollouts"),
        ("tidegate-scales-deployments", "deployments"),
        ("tidegate-reports-of-experiments", "experiments"),
    ],
)
def test_a_policy_of_workers_holds_everywhere_and_names_the_account_that_may_patch(name: str, resource: str) -> None:
    policy = OF_WORKERS[name]
    (binding,) = [
        obj for obj in of_kind(OVERLAY, "ValidatingAdmissionPolicyBinding") if obj["spec"]["policyName"] == name
    ]
    assert binding["spec"] == {"policyName": name, "validationActions": ["Deny", "Audit"]}
    assert (policy["spec"]["failurePolicy"], "namespace" in policy["metadata"]) == ("Fail", False)
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (resource in rule["resources"], rule["operations"]) == (True, ["UPDATE"])
    patchers = {
        role["metadata"]["name"]
        for role in of_kind(OVERLAY, "ClusterRole", "Role")
        for each in role["rules"]
        if resource in each["resources"] and "patch" in each["verbs"]
    }
    assert patchers == {"tidegate-cluster"}
    (condition,) = policy["spec"]["matchConditions"]
    (account,) = [each for each in of_kind(OVERLAY, "ServiceAccount") if each["metadata"]["name"] == "tidegate-cluster"]
    named = f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"
    assert f"'{named}'" in condition["expression"]


def test_the_threat_model_says_of_each_process_what_it_may_in_temporal_and_for_how_long() -> None:
    page = (DEPLOY.parent / "SECURITY.md").read_text()
    could = {
        row.split(" | ")[0].strip("| `"): row.split(" | ")[1] for row in page.splitlines() if row.startswith("| `")
    }
    access = (DEPLOY / "temporal" / "access.md").read_text()
    for row in access.splitlines():
        if row.startswith("| `tidegate-"):
            process, granted = row.split("|")[1].strip(" `"), row.split("|")[3]
            assert ("in Temporal, decide releases" in could[process]) == ("`rollouts:write`" in granted), process
    tokens = [json.loads(file.read_text()) for file in (DEPLOY / "vault" / "temporal-tokens").glob("*.json")]
    assert {each["ttl"] for each in tokens} == {"1h"}
    assert "signed by Vault for an hour" in page
    issued = of_kind(documents(DEPLOY / "temporal" / "certificates.yaml"), "Certificate")
    assert {each["spec"]["duration"] for each in issued if "isCA" not in each["spec"]} == {f"{90 * 24}h"}
    assert "its certificate for 90 days" in page


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


def test_people_are_led_to_the_page_and_name_themselves_by_no_header() -> None:
    (route,) = of_kind(documents(SECURITY / "web-gateway.yaml"), "VirtualService")
    sign_in, page = route["spec"]["http"]
    assert [each["uri"] for each in sign_in["match"]] == [{"prefix": "/oauth2/"}]
    assert [next(iter(each["uri"].values())) for each in page["match"]] == ["/", "/static/", "/releases/"]
    defaults = PageAccess()
    removed = {defaults.user_header.lower(), defaults.groups_header.lower()}
    assert set(page["headers"]["request"]["remove"]) == removed
    target = page["route"][0]["destination"]
    with_page = render(DEPLOY / "kustomize" / "overlays" / "single-cluster-web")
    (service,) = [obj for obj in of_kind(with_page, "Service") if obj["metadata"]["name"] == target["host"]]
    assert service["spec"]["ports"][0]["port"] == target["port"]["number"]


def test_the_gateway_leads_to_the_watchers_door_alone() -> None:
    (route,) = of_kind(documents(SECURITY / "detections-gateway.yaml"), "VirtualService")
    (http,) = route["spec"]["http"]
    assert http["match"] == [{"uri": {"exact": "/detections"}, "method": {"exact": "POST"}}]
    target = http["route"][0]["destination"]
    (service,) = [obj for obj in of_kind(OVERLAY, "Service") if obj["metadata"]["name"] == target["host"]]
    assert service["spec"]["ports"][0]["port"] == target["port"]["number"]
