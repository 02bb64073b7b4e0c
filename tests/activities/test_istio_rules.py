"""Which JSON Patch a change of routes is, without a server."""

from __future__ import annotations

from typing import Any

import jsonpatch
import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import Object
from activities.routers.drift import last_editor
from activities.routers.istio.managed_routes import set_route
from activities.routers.istio.router import RoutedVirtualService
from activities.routers.istio.weights import restore, shift
from tidegate.contract import ErrorType, Routing
from tidegate.manifests.rollout import Canary, IstioVirtualService
from tidegate.manifests.steps import SetHeaderRoute, SetMirrorRoute

SETTING = IstioVirtualService.model_validate({"name": "vs", "routes": ["primary"]})
HEADER = SetHeaderRoute.model_validate(
    {"name": "b", "match": [{"headerName": "agent", "headerValue": {"prefix": "fire"}}, {"headerName": "debug"}]}
)


def istio(**more: Any) -> Routing:
    given = {"stable_service": "stable", "canary_service": "canary", "managed_routes": ("a", "b", "c")} | more
    return Routing(virtual_services=(SETTING,), **given)


def destination(host: str, weight: int = 0, subset: str = "") -> Object:
    return {"destination": {"host": host, **({"subset": subset} if subset else {})}, "weight": weight}


def virtual_service(*http: Object) -> Object:
    return {"metadata": {"name": "vs", "namespace": "ns"}, "spec": {"http": list(http)}}


def named(name: str, *destinations: Object, **more: Any) -> Object:
    return {"name": name, "route": list(destinations or (destination("canary", 100),)), **more}


def primary(stable: int = 100, canary: int = 0, *others: Object) -> Object:
    return named("primary", destination("stable", stable), destination("canary", canary), *others)


def after(found: Object, operations: list[Object]) -> list[Object]:
    return list(jsonpatch.apply_patch(found, operations)["spec"]["http"])


def names(found: Object, operations: list[Object]) -> list[str]:
    return [each["name"] for each in after(found, operations)]


class TestWeights:
    def test_single_weights_are_touched(self) -> None:
        found = virtual_service(primary(90, 10))
        assert shift(found, SETTING, istio(), weight=20).operations == [
            {"op": "add", "path": "/spec/http/0/route/0/weight", "value": 80},
            {"op": "add", "path": "/spec/http/0/route/1/weight", "value": 20},
        ]

    def test_strangers_with_traffic_go_from_the_last_to_the_first(self) -> None:
        found = virtual_service(named("primary", *STRANGERS))
        change = shift(found, SETTING, istio(), weight=0)
        [route] = after(found, change.operations)
        assert [each["destination"]["host"] for each in route["route"]] == ["stable", "idle", "canary"]
        assert [(each.destination, each.weight) for each in change.removed] == [("x", 5), ("y subset s", 6)]

    def test_a_subset_says_more_than_a_host(self) -> None:
        rule = {"name": "dr", "canarySubsetName": "new", "stableSubsetName": "old", "additionalSubsetNames": ["beta"]}
        mesh = istio(destination_rule=rule, stable_service="web", canary_service="web")
        route = named("primary", *(destination("web", weight, name) for name, weight in SUBSETS.items()))
        [edited] = after(virtual_service(route), shift(virtual_service(route), SETTING, mesh, weight=30).operations)
        assert [each["weight"] for each in edited["route"]] == [50, 30, 20]

    def test_only_managed_mirrors_follow(self) -> None:
        mirror = {"mirror": {"host": "canary"}}
        found = virtual_service(
            named("a", *primary()["route"], **mirror), named("theirs", *primary()["route"], **mirror), primary()
        )
        edited = after(found, shift(found, SETTING, istio(), weight=30).operations)
        assert [route["route"][1]["weight"] for route in edited] == [30, 0, 30]

    def test_the_way_back_needs_no_canary_side(self) -> None:
        found = virtual_service(named("b"), named("primary", destination("stable", 40), destination("beta", 60)))
        change = restore(found, SETTING, istio())
        assert after(found, change.operations) == [named("primary", destination("stable", 100))]

    def test_no_share_can_be_read_where_the_route_is_missing(self) -> None:
        found = virtual_service(primary(70, 30))
        routed = RoutedVirtualService(SETTING, istio(), "ns")
        assert [row.canary for row in routed.read(found).rows] == [30]
        unreadable = (virtual_service(named("other")), {**found, "spec": {"http": 5}}, None)
        for each, kind in zip(
            unreadable, (ErrorType.INVALID_SPEC, ErrorType.INVALID_SPEC, ErrorType.NOT_FOUND), strict=True
        ):
            with pytest.raises(ApplicationError) as caught:
                routed.read(each)
            assert caught.value.type == kind


STRANGERS = (
    destination("x", 5),
    destination("stable", 89),
    destination("idle"),
    destination("y", 6, "s"),
    destination("canary"),
)
SUBSETS = {"old": 80, "new": 0, "beta": 20}


class TestManagedRoutes:
    @pytest.mark.parametrize(
        "there",
        [
            ["primary"],
            ["theirs", "primary"],
            ["a", "c", "primary"],
            ["primary", "c", "theirs", "a"],
            ["c", "b", "a", "primary"],
            ["b", "primary", "b", "a", "b"],
        ],
    )
    def test_they_come_first_and_in_order(self, there: list[str]) -> None:
        found = virtual_service(*(primary() if name == "primary" else named(name) for name in there))
        change = set_route(found, SETTING, istio(), step=HEADER, canary_host="canary")
        managed = [name for name in ("a", "b", "c") if name in there or name == "b"]
        theirs = [name for name in there if name not in ("a", "b", "c")]
        assert names(found, change.operations) == managed + theirs
        written = virtual_service(*after(found, change.operations))
        assert set_route(written, SETTING, istio(), step=HEADER, canary_host="canary").operations == []

    def test_a_route_that_stands_otherwise_is_replaced_alone(self) -> None:
        found = virtual_service(named("a"), named("b", destination("elsewhere", 100)), primary())
        [operation] = set_route(found, SETTING, istio(), step=HEADER, canary_host="canary").operations
        assert (operation["op"], operation["path"]) == ("replace", "/spec/http/1")
        assert operation["value"]["match"] == [{"headers": {"agent": {"prefix": "fire"}}}, {"headers": {"debug": {}}}]

    def test_a_mirror_takes_what_stands_and_sends_copies(self) -> None:
        step = SetMirrorRoute.model_validate(
            {"name": "c", "match": [{"path": {"prefix": "/"}, "headers": {"agent": {"exact": "x"}}}]}
        )
        found = virtual_service(primary(100, 0))
        [mirror, _] = after(found, set_route(found, SETTING, istio(), step=step, canary_host="canary").operations)
        assert mirror["match"] == [{"uri": {"prefix": "/"}, "headers": {"agent": {"exact": "x"}}}]
        assert mirror["route"] == [destination("stable", 100), {"destination": {"host": "canary"}}]
        assert (mirror["mirror"], mirror["mirrorPercentage"]) == ({"host": "canary"}, {"value": 100})

    def test_a_route_that_is_split_is_never_taken_away(self) -> None:
        mesh = istio(managed_routes=("primary", "a"))
        found = virtual_service(named("a"), primary(70, 30))
        assert names(found, restore(found, SETTING, mesh).operations) == ["primary"]
        with pytest.raises(ApplicationError, match="no http, tls or tcp route whose weights could be set"):
            restore(virtual_service(named("a")), IstioVirtualService(name="vs"), mesh)

    def test_without_an_http_route_there_is_nothing_to_be_a_special_case_of(self) -> None:
        found = {"metadata": {"name": "vs"}, "spec": {"tcp": [{"route": primary()["route"]}]}}
        with pytest.raises(ApplicationError, match="route 'b' needs an http route that is split"):
            set_route(found, SETTING, istio(), step=HEADER)


def test_the_last_editor_is_who_wrote_routes_last() -> None:
    def entry(manager: str, hour: int, **fields: Any) -> Object:
        return {"manager": manager, "time": f"2026-01-01T{hour:02}:00:00Z", "fieldsV1": {"f:spec": fields}}

    entries = [
        entry("argocd", 1, **{"f:http": {}}),
        entry("person", 3, **{"f:tcp": {}}),
        entry("x", 9, **{"f:hosts": {}}),
    ]
    found = virtual_service() | {"metadata": {"name": "vs", "managedFields": entries}}
    fields = RoutedVirtualService(SETTING, istio(), "ns").fields
    assert last_editor(found, fields) == "person"
    assert last_editor(virtual_service(), fields) == ""


class TestIstioOfARollout:
    def rollout(self, **canary: Any) -> Routing:
        routing = {"istio": {"virtualService": {"name": "vs"}}, "managedRoutes": [{"name": "hdr"}, {"name": "mir"}]}
        found = Routing.of(Canary.model_validate({"trafficRouting": routing, **canary}))
        assert found is not None
        return found

    def test_routes_of_steps_that_nobody_declared_have_to_go_too(self) -> None:
        steps = [{"setWeight": 5}, {"setHeaderRoute": {"name": "late"}}, {"setMirrorRoute": {"name": "mir"}}]
        assert self.rollout(steps=steps).managed_routes == ("hdr", "mir", "late")
