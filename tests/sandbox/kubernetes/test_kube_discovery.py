from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.kubernetes_api.columns import short_duration
from sandbox.kubernetes_api.kinds import KINDS
from tests.sandbox.kubernetes.kube import APPS, ARGO, CORE, Kube, pod, workload

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_every_kind_is_discovered_in_every_version(kube: Kube) -> None:
    groups = {group["name"] for group in (await kube.get("/apis"))["groups"]}
    for kind in KINDS:
        for version in kind.versions:
            assert not kind.group or kind.group in groups
            path = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
            entries = {entry["name"]: entry for entry in (await kube.get(path))["resources"]}
            assert entries[kind.plural]["kind"] == kind.kind
            if kind.scale:
                assert entries[f"{kind.plural}/scale"]["kind"] == "Scale"
                assert entries[f"{kind.plural}/scale"]["group"] == "autoscaling"
            assert not any("shortNames" in entry for name, entry in entries.items() if "/" in name)


async def test_it_says_that_fields_are_validated_by_the_server(kube: Kube) -> None:
    for root in (await kube.get("/openapi/v3"))["paths"].values():
        for item in (await kube.get(root["serverRelativeURL"]))["paths"].values():
            assert "fieldValidation" in [parameter["name"] for parameter in item["patch"]["parameters"]]


async def test_health_and_version(kube: Kube) -> None:
    for path in ("/healthz", "/readyz", "/livez"):
        assert (await kube.http.get(path)).text == "ok"
    assert (await kube.get("/version"))["gitVersion"] == (await kube.get("/version/"))["gitVersion"]


async def test_a_table_has_the_columns_of_its_kind(kube: Kube) -> None:
    await kube.create(f"{ARGO}/rollouts", {"metadata": {"name": "r"}, "spec": {"replicas": 3}})
    await kube.patch(f"{ARGO}/rollouts/r/status", {"status": {"updatedReplicas": 1}})
    table = (await kube.http.get(f"{ARGO}/rollouts", headers={"Accept": TABLE})).json()
    assert table["kind"] == "Table"
    names = [column["name"] for column in table["columnDefinitions"]]
    cells = dict(zip(names, table["rows"][0]["cells"], strict=True))
    age = cells.pop("Age")
    assert age.endswith("s")
    assert cells == {"Name": "r", "Desired": 3, "Current": None, "Up-to-date": 1, "Available": None}
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_a_pod_row_says_what_keeps_it(kube: Kube) -> None:
    await kube.create(f"{CORE}/pods", pod("p"))
    waiting = [
        {"name": "main", "ready": False, "restartCount": 2, "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    ]
    await kube.patch(f"{CORE}/pods/p/status", {"status": {"containerStatuses": waiting}})
    table = (await kube.http.get(f"{CORE}/pods/p", headers={"Accept": TABLE})).json()
    assert table["rows"][0]["cells"][:4] == ["p", "0/1", "ImagePullBackOff", "2"]


async def test_a_watch_can_be_a_table_too(kube: Kube) -> None:
    await kube.create(f"{APPS}/deployments", workload("Deployment", "web"))
    kube.http.headers["Accept"] = TABLE
    async with kube.watch(f"{APPS}/deployments") as events:
        event = await anext(events)
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "Table")
    assert event["object"]["rows"][0]["cells"][0] == "web"


async def test_a_form_that_the_server_has_not_is_not_acceptable(kube: Kube) -> None:
    answer = await kube.http.get(f"{CORE}/pods", headers={"Accept": "application/vnd.kubernetes.protobuf"})
    assert (answer.status_code, answer.json()["reason"]) == (406, "NotAcceptable")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (330, "5m30s"), (3600, "60m"), (4 * 3600 + 120, "4h2m"), (90_000, "25h"),
     (200_000, "2d7h"), (900_000, "10d"), (-30, "<invalid>")],
)  # fmt: skip
def test_ages_are_short(seconds: int, expected: str) -> None:
    assert short_duration(timedelta(seconds=seconds)) == expected
