from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.kubernetes.kube import (
    APPS,
    ARGO,
    CORE,
    ISTIO,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Kube,
    pod,
    virtual_service,
    workload,
)

ROLLOUT = {"metadata": {"name": "r"}, "spec": {"replicas": 3}}


async def test_create_sets_what_the_server_owns(kube: Kube) -> None:
    asked = workload("Deployment", "web")
    asked["metadata"] |= {"uid": "mine", "generation": 7, "creationTimestamp": "2001-01-01T00:00:00Z"}
    made = await kube.create(f"{APPS}/deployments", {**asked, "status": {"readyReplicas": 9}})
    metadata = made["metadata"]
    assert (metadata["namespace"], metadata["generation"]) == ("default", 1)
    assert metadata["uid"] != "mine"
    assert metadata["creationTimestamp"] > "2002"
    assert int(metadata["resourceVersion"]) > 0
    assert "readyReplicas" not in made.get("status", {})
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"


async def test_a_custom_resource_is_stored_as_it_came(kube: Kube) -> None:
    made = await kube.create(f"{ARGO}/rollouts", ROLLOUT)
    assert made["spec"] == ROLLOUT["spec"]


async def test_list_items_of_typed_resources_do_not_say_their_kind(kube: Kube) -> None:
    await kube.create(f"{CORE}/pods", pod("a"))
    await kube.create(f"{ARGO}/rollouts", ROLLOUT)
    pods, rollouts = await kube.get(f"{CORE}/pods"), await kube.get(f"{ARGO}/rollouts")
    assert (pods["kind"], pods["items"][0].get("kind")) == ("PodList", None)
    assert (rollouts["kind"], rollouts["items"][0].get("kind")) == ("RolloutList", "Rollout")
    assert int(pods["metadata"]["resourceVersion"]) > 0


async def test_objects_of_all_namespaces_are_listed_together(kube: Kube) -> None:
    await kube.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
    await kube.create(f"{CORE}/pods", pod("a"))
    await kube.create("/api/v1/namespaces/other/pods", pod("b"))
    assert await kube.names("/api/v1/pods") == ["a", "b"]
    assert await kube.names("/api/v1/namespaces/other/pods") == ["b"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("labelSelector=app=web", ["p1"]),
        ("labelSelector=app!=web", ["p2", "p3"]),
        ("labelSelector=app in (web, db),tier", ["p1", "p2"]),
        ("labelSelector=app notin (web)", ["p2", "p3"]),
        ("labelSelector=!app", ["p3"]),
        ("fieldSelector=metadata.name=p2", ["p2"]),
        ("fieldSelector=metadata.name!=p2,status.phase=Pending", ["p1", "p3"]),
    ],
)
async def test_selectors_choose(kube: Kube, query: str, expected: list[str]) -> None:
    for one in (pod("p1", app="web", tier="a"), pod("p2", app="db", tier="b"), pod("p3")):
        await kube.create(f"{CORE}/pods", one)
    assert await kube.names(f"{CORE}/pods?{query}") == expected


@pytest.mark.parametrize(
    "query", ["labelSelector=a in web", "fieldSelector=spec.colour=red", "fieldSelector=x", "limit=-1"]
)
async def test_what_cannot_be_selected_by_is_refused(kube: Kube, query: str) -> None:
    code, answer = await kube.call("GET", f"{CORE}/pods?{query}")
    assert (code, answer["reason"]) == (400, "BadRequest")


async def test_pages_add_up_to_the_whole(kube: Kube) -> None:
    for name in "abcde":
        await kube.create(f"{CORE}/pods", pod(name))
    seen, token, sizes = [], "", []
    while True:
        page = await kube.get(f"{CORE}/pods?limit=2&continue={token}")
        seen += [item["metadata"]["name"] for item in page["items"]]
        sizes.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert (seen, sizes) == (list("abcde"), [3, 1, None])


async def test_generated_names_are_unique(kube: Kube) -> None:
    asked = {**pod(""), "metadata": {"generateName": "g-"}}
    names = {(await kube.create(f"{CORE}/pods", asked))["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("g-") for name in names)


async def test_generation_counts_changes_of_the_spec_only(kube: Kube) -> None:
    path = f"{APPS}/deployments/web"
    await kube.create(f"{APPS}/deployments", workload("Deployment", "web"))
    labelled = await kube.patch(path, {"metadata": {"labels": {"x": "y"}}})
    reported = await kube.patch(f"{path}/status", {"status": {"replicas": 4}})
    scaled = await kube.patch(path, {"spec": {"replicas": 4}})
    assert [o["metadata"]["generation"] for o in (labelled, reported, scaled)] == [1, 1, 2]
    versions = [int(o["metadata"]["resourceVersion"]) for o in (labelled, reported, scaled)]
    assert versions == sorted(set(versions))


async def test_a_write_that_changes_nothing_is_none(kube: Kube) -> None:
    made = await kube.create(f"{APPS}/deployments", workload("Deployment", "web"))
    same = await kube.patch(f"{APPS}/deployments/web", {"spec": {"replicas": 1}})
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_status_and_spec_do_not_leak_into_each_other(kube: Kube) -> None:
    await kube.create(f"{ARGO}/rollouts", ROLLOUT)
    path = f"{ARGO}/rollouts/r"
    await kube.patch(f"{path}/status", {"status": {"phase": "Healthy"}, "spec": {"replicas": 99}})
    await kube.patch(path, {"status": {"phase": "Degraded"}, "metadata": {"annotations": {"a": "1"}}})
    found = await kube.get(path)
    assert (found["status"], found["spec"]) == ({"phase": "Healthy"}, {"replicas": 3})
    assert found["metadata"]["annotations"] == {"a": "1"}


@pytest.mark.parametrize(
    ("collection", "name", "body"),
    [
        (f"{APPS}/deployments", "web", workload("Deployment", "web")),
        (f"{APPS}/replicasets", "web", workload("ReplicaSet", "web")),
        (f"{ARGO}/rollouts", "r", ROLLOUT),
    ],
)
async def test_scale_shows_and_sets_replicas(kube: Kube, collection: str, name: str, body: dict[str, Any]) -> None:
    await kube.create(collection, body)
    scale = await kube.get(f"{collection}/{name}/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["status"]["replicas"] == 0
    await kube.patch(f"{collection}/{name}/scale", {"spec": {"replicas": 5}})
    assert (await kube.get(f"{collection}/{name}"))["spec"]["replicas"] == 5
    await kube.replace(f"{collection}/{name}/scale", {"spec": {"replicas": 0}})
    assert (await kube.get(f"{collection}/{name}"))["spec"]["replicas"] == 0


async def test_put_replaces_the_whole_object(kube: Kube) -> None:
    made = await kube.create(f"{APPS}/deployments", workload("Deployment", "web"))
    del made["metadata"]["labels"]
    made["spec"]["replicas"] = 6
    replaced = await kube.replace(f"{APPS}/deployments/web", made)
    assert "labels" not in replaced["metadata"]
    code, answer = await kube.call("PUT", f"{APPS}/deployments/web", made)
    assert (code, answer["reason"]) == (409, "Conflict")


async def test_a_custom_resource_is_replaced_only_with_its_version(kube: Kube) -> None:
    await kube.create(f"{ARGO}/rollouts", ROLLOUT)
    code, answer = await kube.call("PUT", f"{ARGO}/rollouts/r", ROLLOUT)
    assert (code, answer["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")


async def test_a_merge_patch_that_names_an_old_version_conflicts(kube: Kube) -> None:
    made = await kube.create(f"{ISTIO}/virtualservices", virtual_service("web"))
    await kube.patch(f"{ISTIO}/virtualservices/web", {"metadata": {"labels": {"a": "b"}}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "spec": {"hosts": ["z"]}}
    code, answer = await kube.call("PATCH", f"{ISTIO}/virtualservices/web", stale, MERGE_PATCH)
    assert (code, answer["reason"]) == (409, "Conflict")


async def test_each_api_version_is_a_view_of_one_object(kube: Kube) -> None:
    old = ISTIO.replace("/v1/", "/v1beta1/")
    await kube.create(f"{old}/virtualservices", {**virtual_service("web"), "apiVersion": "networking.istio.io/v1beta1"})
    assert (await kube.get(f"{ISTIO}/virtualservices/web"))["apiVersion"] == "networking.istio.io/v1"
    ops = [{"op": "test", "path": "/apiVersion", "value": "networking.istio.io/v1beta1"}]
    assert (await kube.patch(f"{old}/virtualservices/web", ops, JSON_PATCH))["apiVersion"].endswith("v1beta1")


async def test_media_types_that_a_resource_does_not_take(kube: Kube) -> None:
    await kube.create(f"{ISTIO}/virtualservices", virtual_service("web"))
    path = f"{ISTIO}/virtualservices/web"
    assert (await kube.call("PATCH", path, {}, STRATEGIC_PATCH))[0] == 415
    assert (await kube.call("PATCH", path, [], MERGE_PATCH))[0] == 400
    assert (await kube.call("PATCH", path, {}, "application/json"))[0] == 415
    assert (await kube.call("POST", f"{CORE}/pods", "x", "application/vnd.kubernetes.protobuf"))[0] == 415
    assert (await kube.call("POST", f"{CORE}/pods", "{", "application/json"))[0] == 400
    assert (await kube.call("POST", f"{CORE}/pods", "a: &b [*b]", "application/yaml"))[0] == 400
    assert (await kube.call("POST", f"{CORE}/pods", "x" * 4_000_000, "application/json"))[0] == 413


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        (f"{CORE}/services", {"metadata": {}, "spec": {"ports": [{"port": 80}]}}, 422, "metadata.name"),
        (f"{CORE}/services", {"metadata": {"name": "s"}, "spec": {}}, 422, "spec.ports"),
        (f"{CORE}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 0}]}}, 422, "spec.ports[0].port"),
        (f"{CORE}/pods", {"metadata": {"name": "Bad_Name"}, "spec": pod("x")["spec"]}, 422, "metadata.name"),
        (f"{CORE}/pods", {"metadata": {"name": "p"}, "spec": {}}, 422, "spec.containers"),
        (f"{CORE}/pods", pod("p", app="no spaces"), 422, "metadata.labels"),
        (f"{CORE}/pods", {**pod("p"), "metadata": {"name": "p", "labels": {"a": 1}}}, 400, None),
        (f"{CORE}/pods", {**pod("p"), "kind": "Service"}, 400, None),
        (f"{CORE}/pods", {**pod("p"), "metadata": {"name": "p", "namespace": "other"}}, 400, None),
        (f"{CORE}/pods", {**pod("p"), "metadata": {"name": "p", "resourceVersion": "3"}}, 500, None),
        (f"{CORE}/pods", [], 400, None),
        (f"{APPS}/replicasets", workload("ReplicaSet", "w", replicas=-1), 422, "spec.replicas"),
        (f"{APPS}/replicasets", {"metadata": {"name": "w"}, "spec": {"replicas": "2"}}, 400, None),
        (f"{ARGO}/rollouts", {"metadata": {"name": "r"}, "spec": {"replicas": "2"}}, 422, "spec.replicas"),
        (f"{ISTIO}/virtualservices", virtual_service("v", 50, "50"), 422, "spec.http[0].route[1].weight"),
        (f"{ISTIO}/virtualservices", virtual_service("v", 101, 0), 422, "spec.http[0].route[0].weight"),
        (f"{ISTIO}/virtualservices", virtual_service("v", 0, 0), 422, "spec.http[0].route"),
    ],
)
async def test_bad_objects_are_refused_by_field(kube: Kube, path: str, body: Any, code: int, field: str | None) -> None:
    found, answer = await kube.call("POST", path, body)
    assert (found, answer["kind"]) == (code, "Status")
    if field is not None:
        assert field in [cause["field"] for cause in answer["details"]["causes"]]


async def test_a_selector_must_match_its_template_and_never_changes(kube: Kube) -> None:
    broken = workload("ReplicaSet", "web")
    broken["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    assert (await kube.call("POST", f"{APPS}/replicasets", broken))[0] == 422
    await kube.create(f"{APPS}/deployments", workload("Deployment", "web"))
    changed = {
        "spec": {"selector": {"matchLabels": {"tier": "x"}}, "template": {"metadata": {"labels": {"tier": "x"}}}}
    }
    code, answer = await kube.call("PATCH", f"{APPS}/deployments/web", changed, MERGE_PATCH)
    assert (code, "immutable" in answer["message"]) == (422, True)


async def test_errors_are_status_objects_with_reason_and_details(kube: Kube) -> None:
    code, missing = await kube.call("GET", f"{CORE}/pods/nope")
    assert (code, missing["reason"], missing["details"]) == (404, "NotFound", {"name": "nope", "kind": "pods"})
    await kube.create(f"{CORE}/pods", pod("p"))
    code, twice = await kube.call("POST", f"{CORE}/pods", pod("p"))
    assert (code, twice["reason"]) == (409, "AlreadyExists")
    code, nowhere = await kube.call("POST", "/api/v1/namespaces/missing/pods", pod("p"))
    assert (code, nowhere["message"]) == (404, 'namespaces "missing" not found')
    assert (await kube.call("GET", f"{CORE}/unicorns"))[0] == 404
    assert (await kube.call("GET", f"{CORE}/secrets/s/status"))[0] == 404
    assert (await kube.call("POST", f"{CORE}/pods/p"))[0] == 405
    assert (await kube.call("GET", f"{CORE}/pods?resourceVersion=99999"))[0] == 504


async def test_a_dry_run_checks_and_writes_nothing(kube: Kube) -> None:
    before = kube.api.store.version
    assert (await kube.create(f"{CORE}/pods?dryRun=All", pod("p")))["metadata"]["uid"]
    assert (await kube.call("POST", f"{CORE}/pods?dryRun=All", {"metadata": {"name": "p"}}))[0] == 422
    assert kube.api.store.version == before


async def test_a_service_keeps_its_address(kube: Kube) -> None:
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    made = await kube.create(f"{CORE}/services", service)
    other = await kube.create(f"{CORE}/services", {**service, "metadata": {"name": "t"}})
    replaced = await kube.replace(f"{CORE}/services/s", service)
    assert replaced["spec"]["clusterIP"] == made["spec"]["clusterIP"] != other["spec"]["clusterIP"]
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


async def test_calls_are_counted_by_verb_resource_and_caller(kube: Kube) -> None:
    kube.http.headers["User-Agent"] = "worker/1.0"
    await kube.create(f"{ARGO}/rollouts", ROLLOUT)
    await kube.patch(f"{ARGO}/rollouts/r/status", {"status": {}})
    await kube.names(f"{ARGO}/rollouts")
    expected = {
        ("create", "argoproj.io", "rollouts", ""): 1,
        ("patch", "argoproj.io", "rollouts", "status"): 1,
        ("list", "argoproj.io", "rollouts", ""): 1,
    }
    assert dict(kube.api.calls) == expected
    assert dict(kube.api.calls_by["worker/1.0"]) == expected
