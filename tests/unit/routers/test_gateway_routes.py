"""What a route of the Gateway API becomes, and that nothing of it is touched that is not a release's."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.steps import SetHeaderRoute
from tidegate.routers.gateway_api import (
    Backends,
    Share,
    SplitError,
    experiment_port,
    labelled,
    shares,
    shifted,
    split_rules,
)
from tidegate.routers.header_rules import owners_of, with_header_rules, without_header_rules

Object = dict[str, Any]
BACKENDS = Backends("stable", "canary", "shop")
STEP = SetHeaderRoute.model_validate(
    {"name": "testers", "match": [{"headerName": "X-Test", "headerValue": {"exact": "1"}}]}
)
NAMES = ["stable", "canary", "legacy", "exp"]


def to(*names: str, **fields: Any) -> Object:
    return {"backendRefs": [{"name": name, "port": 80} for name in names], **fields}


def route(*rules: Object, **metadata: Any) -> Object:
    return {"metadata": {"name": "shop", **metadata}, "spec": {"rules": list(rules)}}


def weights(found: Object) -> list[dict[str, int | None]]:
    return [
        {each["name"]: each.get("weight") for each in rule.get("backendRefs") or []} for rule in found["spec"]["rules"]
    ]


references = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "port": st.just(80)},
    optional={
        "weight": st.integers(0, 200),
        "kind": st.sampled_from(["Service", "ServiceImport"]),
        "namespace": st.sampled_from(["shop", "elsewhere"]),
    },
)
rules = st.fixed_dictionaries(
    {"backendRefs": st.lists(references, max_size=4, unique_by=lambda each: each["name"])},
    optional={
        "name": st.sampled_from(["testers", "testers-1", "mine", "mine-1"]),
        "timeouts": st.just({"request": "1s"}),
    },
)
routes = st.lists(rules, min_size=1, max_size=4).map(lambda each: route(*each))


@given(routes, st.integers(0, 100), st.integers(0, 40))
def test_a_weight_is_exact_settles_at_once_and_touches_nothing_else(found: Object, weight: int, share: int) -> None:
    """Law 1 and 2 rest on it: what is read back is what was asked, in every rule that leads to both sides."""
    experiments = [Share("exp", share)] if share <= 100 - weight else []
    changed = shifted(found, BACKENDS, weight, experiments=experiments, known=["exp"])
    again = shifted(changed, BACKENDS, weight, experiments=experiments, known=["exp"])
    assert again == changed
    for before, after in zip(found["spec"]["rules"], changed["spec"]["rules"], strict=True):
        if not BACKENDS.are_in(before):
            assert after == before
            continue
        left = {each["name"]: each for each in after["backendRefs"]}
        beside = sum(each.weight for each in experiments)
        assert (left["canary"]["weight"], left["stable"]["weight"]) == (weight, 100 - weight - beside)
        assert [each for each in after["backendRefs"] if each["name"] == "legacy"] == [
            each for each in before["backendRefs"] if each["name"] == "legacy"
        ]
    for row in shares(changed, BACKENDS, ["exp"]):
        assert (row.canary, row.stable + sum(row.experiments.values())) == (weight, 100 - weight)


@given(routes, st.sampled_from(["testers", "other"]))
def test_a_rule_of_somebody_else_stays(found: Object, name: str) -> None:
    """Only a rule with a managed name goes, or one without a name that says what a step writes."""
    owners = owners_of(found, BACKENDS, [STEP], [name])
    for rule, owner in zip(found["spec"]["rules"], owners, strict=True):
        if owner and rule.get("name"):
            assert rule["name"] in (name, f"{name}-1")
    kept = without_header_rules(found, owners)["spec"]["rules"]
    assert kept == [rule for rule, owner in zip(found["spec"]["rules"], owners, strict=True) if not owner]
    alone = route(to("stable", "canary"), to("canary", name="mine"), to("canary"))
    assert owners_of(alone, BACKENDS, [STEP], ["testers"]) == ["", "", ""]


def test_a_rule_with_one_side_is_left_alone() -> None:
    found = route(to("stable"), to("canary"), to("stable", "canary"), to("other"))
    assert weights(shifted(found, BACKENDS, 100)) == [
        {"stable": None},
        {"canary": None},
        {"stable": 0, "canary": 100},
        {"other": None},
    ]


@pytest.mark.parametrize(
    ("kind", "found", "why"),
    [
        ("HTTPRoute", route(to("stable")), "backendRef was not found in httpRoute"),
        ("GRPCRoute", route(), "backendRef was not found in grpcRoute"),
        ("TLSRoute", route(to("canary")), "backendRef list was not found in tlsRoute"),
        ("TCPRoute", route(to("stable", "canary", "stable")), r"rules\[0\] leads to stable more than once"),
    ],
)
def test_a_route_that_cannot_be_split_is_refused(kind: str, found: Object, why: str) -> None:
    with pytest.raises(SplitError, match=why):
        split_rules(found, kind, BACKENDS)


def test_weights_that_a_person_wrote_are_read_as_shares() -> None:
    found = route({"backendRefs": [{"name": "stable", "weight": 9}, {"name": "canary"}]}, to("stable", "canary"))
    assert [(row.rule, row.stable, row.canary) for row in shares(found, BACKENDS)] == [
        ("rules[0]", 90, 10),
        ("rules[1]", 50, 50),
    ]


def test_a_canary_with_any_traffic_is_never_read_as_none() -> None:
    found = route({"backendRefs": [{"name": "stable", "weight": 999}, {"name": "canary", "weight": 1}]})
    assert [(row.stable, row.canary) for row in shares(found, BACKENDS)] == [(99, 1)]


def test_an_experiment_has_its_share_in_each_rule() -> None:
    found = route(to("stable", "canary"), to("stable", "canary", "exp"))
    begun = shifted(found, BACKENDS, 20, experiments=[Share("exp", 10, 9000)], known=["exp"])
    assert weights(begun) == [{"stable": 70, "canary": 20, "exp": 10}] * 2
    assert begun["spec"]["rules"][0]["backendRefs"][2] == {
        "name": "exp",
        "namespace": "shop",
        "port": 9000,
        "weight": 10,
    }
    assert weights(shifted(begun, BACKENDS, 20, known=["exp"])) == [{"stable": 80, "canary": 20}] * 2


def test_the_port_of_an_experiment_is_stables_where_it_has_that() -> None:
    assert experiment_port([{"port": 80, "name": "http"}, {"port": 9090}], 9090) == 9090
    assert experiment_port([{"port": 90}, {"port": 80, "name": "http"}], 9090) == 80
    assert experiment_port([{"port": 90}], 9090) == 90
    assert experiment_port([], 9090) == 8080


def test_a_label_says_that_a_canary_has_traffic() -> None:
    found = route(to("stable", "canary"), labels={"team": "x"})
    busy = labelled(found, ("busy", "yes"), 20)
    assert busy["metadata"]["labels"] == {"team": "x", "busy": "yes"}
    assert labelled(busy, ("busy", "yes"), 0)["metadata"]["labels"] == {"team": "x"}
    assert labelled(busy, None, 0) == busy
    assert labelled(route(), ("busy", "yes"), 0) == route()


def placed(found: Object, step: SetHeaderRoute = STEP) -> Object:
    return with_header_rules(
        found, "HTTPRoute", BACKENDS, step, owners_of(found, BACKENDS, [STEP], ["testers", "more"])
    )


def test_a_header_route_says_what_its_rule_says() -> None:
    match = {"path": {"type": "PathPrefix", "value": "/a"}, "headers": [{"name": "h", "value": "v"}], "method": "GET"}
    source = to("stable", "canary", name="all", matches=[match], timeouts={"request": "1s"}, filters=[{"type": "X"}])
    [_, added] = placed(route(source))["spec"]["rules"]
    assert added == {
        "name": "testers",
        "matches": [{**match, "headers": [*match["headers"], {"name": "X-Test", "type": "Exact", "value": "1"}]}],
        "timeouts": {"request": "1s"},
        "filters": [{"type": "X"}],
        "backendRefs": [{"group": "", "kind": "Service", "name": "canary", "port": 80}],
    }


def test_a_header_route_is_one_rule_for_each_that_is_split_and_written_once() -> None:
    found = placed(route(to("stable", "canary"), to("other"), to("stable", "canary")))
    assert [rule.get("name") for rule in found["spec"]["rules"]] == [None, None, None, "testers", "testers-1"]
    stored = deepcopy(found)
    for rule in stored["spec"]["rules"]:  # as a server stores it, whose CRDs know no names
        rule.pop("name", None)
        rule["backendRefs"] = [{"group": "", "kind": "Service", "weight": 1, **each} for each in rule["backendRefs"]]
        rule["matches"] = [
            {"path": {"type": "PathPrefix", "value": "/"}, **match} for match in rule.get("matches") or [{}]
        ]
    assert placed(stored) == stored
    gone = placed(stored, SetHeaderRoute(name="testers"))
    assert len(gone["spec"]["rules"]) == 3


def test_a_header_route_of_another_name_stays() -> None:
    more = SetHeaderRoute.model_validate(
        {"name": "more", "match": [{"headerName": "a", "headerValue": {"regex": "b"}}]}
    )
    both = placed(placed(route(to("stable", "canary"))), more)
    gone = placed(both, SetHeaderRoute(name="testers"))
    assert [rule.get("name") for rule in gone["spec"]["rules"]] == [None, "more"]


def test_a_prefix_is_taken_literally() -> None:
    step = SetHeaderRoute.model_validate(
        {"name": "testers", "match": [{"headerName": "v", "headerValue": {"prefix": "1.2+(x)"}}]}
    )
    [_, added] = placed(route(to("stable", "canary")), step)["spec"]["rules"]
    assert added["matches"][0]["headers"] == [{"name": "v", "type": "RegularExpression", "value": r"1\.2\+\(x\).*"}]
