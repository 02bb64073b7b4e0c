"""What no VirtualService may make a change of routes do, whatever stands in it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from activities.routers.istio.managed_routes import set_route
from activities.routers.istio.weights import restore, shift
from activities.routers.router import ExperimentWeight
from tidegate.contract import Routing
from tidegate.manifests.rollout import IstioVirtualService
from tidegate.manifests.steps import SetHeaderRoute, SetMirrorRoute

Object = dict[str, Any]

SETTING = IstioVirtualService.model_validate({"name": "vs", "routes": ["primary"], "tcpRoutes": [{"port": 1}]})
ISTIO = Routing(
    stable_service="stable",
    canary_service="canary",
    virtual_services=(SETTING,),
    managed_routes=("m1", "m2"),
    destination_rule=None,
)
WEIGHTS = st.integers(0, 100)
EXTRA = st.dictionaries(st.sampled_from(["timeout", "x-unknown", "retries"]), st.integers(), max_size=2)
STEPS: list[SetHeaderRoute | SetMirrorRoute] = [
    SetHeaderRoute.model_validate({"name": name, "match": [{"headerName": "agent", "headerValue": {"exact": "x"}}]})
    for name in ("m1", "m2")
] + [SetMirrorRoute.model_validate({"name": name, "match": [{"method": {"exact": "GET"}}]}) for name in ("m1", "m2")]


@st.composite
def destinations(draw: st.DrawFn) -> list[Object]:
    """Both sides once, in any order, among idle and busy strangers and experiments."""
    hosts = ["stable", "canary.ns.svc", *draw(st.lists(st.sampled_from(["exp", "beta", "gamma"]), unique=True))]
    return [
        {"destination": {"host": host}, "weight": draw(WEIGHTS), **draw(EXTRA)} for host in draw(st.permutations(hosts))
    ]


@st.composite
def virtual_services(draw: st.DrawFn) -> Object:
    """A route that is split among theirs and managed ones, in any order, and one of layer 4."""
    theirs = [{"name": name, "route": draw(destinations()), **draw(EXTRA)} for name in draw(NAMES)]
    managed = [
        {"name": name, "route": draw(destinations()), **({"mirror": {"host": "canary"}} if draw(st.booleans()) else {})}
        for name in draw(st.lists(st.sampled_from(["m1", "m2"]), unique=True))
    ]
    primary = {"name": "primary", "route": draw(destinations()), **draw(EXTRA)}
    tcp = [{"match": [{"port": port}], "route": draw(destinations())} for port in (1, 2)]
    http = draw(st.permutations([primary, *theirs, *managed]))
    return {"metadata": {"name": "vs", "namespace": "ns"}, "spec": {"hosts": ["h"], "http": http, "tcp": tcp}}


NAMES = st.lists(st.sampled_from(["one", "two"]), unique=True)


def applied(found: Object, operations: list[Object]) -> Object:
    return dict(jsonpatch.apply_patch(found, operations))


def untouched(found: Object) -> Object:
    """All of it that is not a weight of ours, not a stranger among our destinations and not a managed route."""
    spec = deepcopy(found["spec"])
    spec["http"] = [route for route in spec["http"] if route["name"] not in ISTIO.managed_routes]
    for route in [*(each for each in spec["http"] if each["name"] == "primary"), spec["tcp"][0]]:
        route["route"] = [
            {key: value for key, value in each.items() if key != "weight"}
            for each in route["route"]
            if each["destination"]["host"] in ("stable", "canary.ns.svc")
        ]
    return dict(spec)


def ours(found: Object) -> list[list[Object]]:
    return [
        *(each["route"] for each in found["spec"]["http"] if each["name"] == "primary"),
        found["spec"]["tcp"][0]["route"],
    ]


@given(virtual_services(), WEIGHTS, st.integers(0, 30))
def test_a_shift_is_exact_settles_at_once_and_touches_nothing_else(found: Object, weight: int, share: int) -> None:
    experiments = [ExperimentWeight(service="exp", weight=share)]
    change = shift(found, SETTING, ISTIO, weight=weight, experiments=experiments)
    stands = applied(found, change.operations)
    for route in ours(stands):
        shares = {each["destination"]["host"]: each["weight"] for each in route if each["weight"]}
        wanted = {"canary.ns.svc": weight, "exp": share, "stable": max(0, 100 - weight - share)}
        assert shares == {host: value for host, value in wanted.items() if value}
    assert untouched(stands) == untouched(found)
    assert shift(stands, SETTING, ISTIO, weight=weight, experiments=experiments).operations == []


@given(virtual_services())
def test_the_way_back_leads_nobody_to_the_canary(found: Object) -> None:
    stands = applied(found, restore(found, SETTING, ISTIO).operations)
    assert [{e["destination"]["host"]: e["weight"] for e in route if e["weight"]} for route in ours(stands)] == [
        {"stable": 100},
        {"stable": 100},
    ]
    assert not [route for route in stands["spec"]["http"] if route["name"] in ISTIO.managed_routes]
    assert untouched(stands) == untouched(found)
    assert restore(stands, SETTING, ISTIO).operations == []


@given(virtual_services(), st.lists(st.sampled_from(STEPS), min_size=1, max_size=4))
def test_managed_routes_come_first_in_order_and_go_without_a_trace(
    found: Object, steps: list[SetHeaderRoute | SetMirrorRoute]
) -> None:
    stands = found
    for step in steps:
        stands = applied(stands, set_route(stands, SETTING, ISTIO, step=step, canary_host="canary").operations)
        assert set_route(stands, SETTING, ISTIO, step=step, canary_host="canary").operations == []
    names = [route["name"] for route in stands["spec"]["http"]]
    managed = [name for name in ISTIO.managed_routes if name in names]
    assert names[: len(managed)] == managed
    assert {step.name for step in steps} <= set(managed)
    assert untouched(stands) == untouched(found)
    back = applied(found, restore(found, SETTING, ISTIO).operations)
    assert applied(stands, restore(stands, SETTING, ISTIO).operations) == back
