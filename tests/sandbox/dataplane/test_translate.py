"""The mesh's translation as a pure function: which cluster gets which weight, which request meets which route."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from sandbox.documents import Document, items, mapping
from sandbox.mesh.matches import UnsupportedError, route_match
from sandbox.mesh.names import ClusterName
from sandbox.mesh.snapshot import Backends, Destination
from sandbox.mesh.translate import MAX_TOTAL_WEIGHT, MeshConfig, split, translate

from .objects import NAMESPACE, World, local, route, split_by_weight, virtual_service

STABLE = ClusterName("checkout", "aaa", NAMESPACE, "checkout-stable", 80)
CANARY = ClusterName("checkout", "bbb", NAMESPACE, "checkout-canary", 80)


@pytest.fixture
def world() -> World:
    world = World()
    world.add_service("checkout-stable", {"aaa": local(1001, 1002, 1003)})
    world.add_service("checkout-canary", {"bbb": local(2001)})
    return world


def host(config: MeshConfig, domain: str) -> Document:
    return next(each for each in config.virtual_hosts if domain in domains(each))


def domains(virtual_host: Document) -> list[str]:
    value = virtual_host["domains"]
    assert isinstance(value, list)
    return [str(each) for each in value]


def weights(config: MeshConfig, domain: str = "checkout", number: int = 0) -> dict[str, object]:
    action = mapping(items(host(config, domain)["routes"])[number]["route"])
    clusters = items(mapping(action["weighted_clusters"])["clusters"])
    return {str(cluster["name"]): cluster["weight"] for cluster in clusters}


def test_weights_go_to_the_clusters_of_the_destinations(world: World) -> None:
    world.set_routes(split_by_weight(10))
    config = translate(world.snapshot())
    found = weights(config)
    assert found == {str(STABLE): 90 * 3, str(CANARY): 10 * 3}
    assert config.clusters[STABLE] == (("127.0.0.1", 1001), ("127.0.0.1", 1002), ("127.0.0.1", 1003))
    assert config.warnings == ()


def test_a_destination_of_weight_zero_gets_no_share(world: World) -> None:
    world.set_routes(split_by_weight(0))
    assert weights(translate(world.snapshot())).keys() == {str(STABLE)}


def test_one_service_with_pods_of_two_hashes_is_split_by_their_ready_pods(world: World) -> None:
    world.add_service("checkout-stable", {"aaa": local(1001, 1002, 1003), "bbb": local(2001)})
    world.set_routes(split_by_weight(20))
    both = ClusterName("checkout", "bbb", NAMESPACE, "checkout-stable", 80)
    assert weights(translate(world.snapshot())) == {str(STABLE): 80 * 3, str(both): 80, str(CANARY): 20 * 4}


def test_an_empty_destination_keeps_its_weight_under_the_hash_that_it_selects(world: World) -> None:
    world.add_service("checkout-canary", {}, **{"rollouts-pod-template-hash": "bbb"})
    world.set_routes(split_by_weight(30))
    config = translate(world.snapshot())
    assert weights(config) == {str(STABLE): 70 * 3, str(CANARY): 30 * 3}
    assert config.clusters[CANARY] == ()


def test_a_service_that_does_not_exist_is_an_empty_cluster(world: World) -> None:
    world.set_routes(virtual_service({"route": [route("nowhere")]}))
    config = translate(world.snapshot())
    assert config.clusters[ClusterName("nowhere", "", NAMESPACE, "nowhere", 0)] == ()


def test_subsets_take_the_pods_with_their_labels(world: World) -> None:
    world.add_service("checkout", {"aaa": local(1001, 1002), "bbb": local(2001)})
    world.add_subsets("checkout", stable="aaa", canary="bbb")
    world.set_routes(virtual_service({"route": [route("checkout", 75, "stable"), route("checkout", 25, "canary")]}))
    config = translate(world.snapshot())
    stable = ClusterName("checkout", "aaa", NAMESPACE, "checkout", 80, "stable")
    canary = ClusterName("checkout", "bbb", NAMESPACE, "checkout", 80, "canary")
    assert weights(config) == {str(stable): 75 * 2, str(canary): 25 * 2}


def test_an_unknown_subset_answers_503_and_is_named(world: World) -> None:
    world.set_routes(virtual_service({"route": [route("checkout-stable", None, "blue")]}))
    config = translate(world.snapshot())
    assert config.clusters[ClusterName("checkout", "", NAMESPACE, "checkout-stable", 80, "blue")] == ()
    assert "subset blue of checkout-stable" in config.warnings[0]


def test_all_names_of_a_host_lead_to_its_virtual_service(world: World) -> None:
    world.set_routes(split_by_weight(10))
    names = {"checkout", "checkout.payments", "checkout.payments.svc", "checkout.payments.svc.cluster.local"}
    assert set(domains(host(translate(world.snapshot()), "checkout"))) == names


def test_a_service_without_a_virtual_service_leads_to_its_endpoints(world: World) -> None:
    config = translate(world.snapshot())
    assert weights(config, "checkout-canary.payments").keys() == {str(CANARY)}


def test_a_virtual_service_takes_the_name_of_a_service(world: World) -> None:
    world.set_routes(virtual_service({"route": [route("checkout-canary")]}, hosts=("checkout-stable",)))
    config = translate(world.snapshot())
    assert weights(config, "checkout-stable").keys() == {str(CANARY)}
    taken = [domain for each in config.virtual_hosts for domain in domains(each)]
    assert len(taken) == len(set(taken))


def test_the_older_of_two_virtual_services_has_the_host(world: World) -> None:
    for name, created, target in (("a", "2026-01-02T", "checkout-stable"), ("b", "2026-01-01T", "checkout-canary")):
        document = virtual_service({"route": [route(target)]}, name=name)
        mapping(document["metadata"])["creationTimestamp"] = created
        world.virtual_services[NAMESPACE, name] = document
    config = translate(world.snapshot())
    assert weights(config).keys() == {str(CANARY)}
    assert any("VirtualService payments/a: not honoured: host checkout," in warning for warning in config.warnings)


def test_routes_keep_their_order_and_each_match_is_a_route(world: World) -> None:
    header: Document = {"match": [{"headers": {"X-Canary": {"exact": "yes"}}}, {"uri": {"prefix": "/beta"}}]}
    world.set_routes(
        virtual_service({**header, "route": [route("checkout-canary")]}, {"route": [route("checkout-stable")]})
    )
    config = translate(world.snapshot())
    routes = items(host(config, "checkout")["routes"])
    assert [each["match"] for each in routes] == [
        {"prefix": "/", "headers": [{"name": "x-canary", "string_match": {"exact": "yes"}}]},
        {"prefix": "/beta"},
        {"prefix": "/"},
    ]
    assert weights(config, number=2).keys() == {str(STABLE)}


def test_a_mirror_samples_each_hash_by_its_share(world: World) -> None:
    world.add_service("shadow", {"ccc": local(3001, 3002, 3003), "ddd": local(4001)})
    http: Document = {
        "route": [route("checkout-stable")],
        "mirror": {"host": "shadow"},
        "mirrorPercentage": {"value": 40},
    }
    world.set_routes(virtual_service(http))
    action = mapping(items(host(translate(world.snapshot()), "checkout")["routes"])[0]["route"])
    fractions = [
        mapping(each["runtime_fraction"])["default_value"] for each in items(action["request_mirror_policies"])
    ]
    assert [mapping(each)["numerator"] for each in fractions] == [300_000, 100_000]


@pytest.mark.parametrize(
    ("http", "named"),
    [
        ({"route": [], "redirect": {"uri": "/x"}}, "field redirect"),
        ({"route": [{**route("checkout-stable"), "headers": {}}]}, "field headers"),
        ({"route": [route("checkout-stable")], "timeout": "5 parsecs"}, "timeout"),
        ({"route": [route("checkout-stable")], "match": [{"sourceLabels": {"a": "b"}}]}, "match on sourceLabels"),
        ({"route": [route("checkout-stable", 0)]}, "answers 503"),
        ({"route": [{"destination": {"host": "checkout-stable"}, "weight": "many"}]}, "weight 'many'"),
    ],
)
def test_what_is_not_honoured_is_named(world: World, http: Document, named: str) -> None:
    world.set_routes(virtual_service(http))
    assert any(named in warning for warning in translate(world.snapshot()).warnings)


def test_a_route_is_unlimited_in_time_unless_it_says_so(world: World) -> None:
    world.set_routes(virtual_service({"route": [route("checkout-stable")], "timeout": "1m30s"}))
    config = translate(world.snapshot())
    assert mapping(items(host(config, "checkout")["routes"])[0]["route"])["timeout"] == "90s"
    assert mapping(items(host(config, "checkout-stable")["routes"])[0]["route"])["timeout"] == "0s"


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"uri": {"exact": "/a"}}, {"path": "/a"}),
        ({"uri": {"regex": "/a.*"}, "ignoreUriCase": True}, {"safe_regex": {"regex": "/a.*"}, "case_sensitive": False}),
        (
            {"method": {"exact": "POST"}},
            {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
        ),
        ({"headers": {"a": {}}}, {"prefix": "/", "headers": [{"name": "a", "present_match": True}]}),
        (
            {"withoutHeaders": {"a": {"prefix": "x"}}},
            {"prefix": "/", "headers": [{"name": "a", "string_match": {"prefix": "x"}, "invert_match": True}]},
        ),
        (
            {"queryParams": {"q": {"regex": "\\d+"}}},
            {"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"safe_regex": {"regex": "\\d+"}}}]},
        ),
    ],
)
def test_matches(match: Document, expected: Document) -> None:
    assert route_match(match) == expected


def test_a_pattern_of_no_known_kind_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="suffix"):
        route_match({"uri": {"suffix": ".html"}})


counts = st.dictionaries(st.sampled_from(["aaa", "bbb", "ccc"]), st.integers(1, 40), max_size=3)


@given(st.lists(st.tuples(st.integers(1, 100), counts), min_size=1, max_size=3))
def test_shares_are_the_destination_weights_exactly(routes: list[tuple[int, dict[str, int]]]) -> None:
    found: dict[str, Backends] = {}
    for number, (_, pods) in enumerate(routes):
        names = {
            ClusterName("checkout", each, "ns", f"s{number}", 80): tuple(local(*range(n))) for each, n in pods.items()
        }
        found[f"s{number}"] = names or {ClusterName("checkout", "", "ns", f"s{number}", 80): ()}
    weighted = [(Destination("ns", f"s{number}"), weight) for number, (weight, _) in enumerate(routes)]
    shares = split(weighted, lambda destination: found[destination.host])
    total = sum(shares.values())
    for number, (weight, pods) in enumerate(routes):
        mine = {name.pod_hash: share for name, share in shares.items() if name.service == f"s{number}"}
        assert Fraction(sum(mine.values()), total) == Fraction(weight, sum(weight for weight, _ in routes))
        for pod_hash, count in pods.items():
            assert Fraction(mine[pod_hash], sum(mine.values())) == Fraction(count, sum(pods.values()))


def test_shares_fit_into_what_envoy_can_hold() -> None:
    def find(destination: Destination) -> Backends:
        count = int(destination.host)
        return {
            ClusterName("c", each, "ns", destination.host, 80): tuple(local(*range(n)))
            for each, n in (("a", count - 1), ("b", 1))
        }

    primes = [(Destination("ns", str(prime)), 25) for prime in (997, 991, 983, 977)]
    shares = split(primes, find)
    assert sum(shares.values()) <= MAX_TOTAL_WEIGHT
    assert min(shares.values()) > 0


@given(
    st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{0,10}", fullmatch=True),
    st.integers(0, 65535),
)
def test_a_cluster_name_reads_back(tag: str, pod_hash: str, port: int) -> None:
    name = ClusterName(tag, pod_hash, "payments", "checkout-stable", port, "canary")
    assert ClusterName.parse(str(name)) == name


@pytest.mark.parametrize("other", ["", "xds_cluster", "a;b/c", "a;b/c/d/e/f", "a;b/c/d/80/e/f"])
def test_a_name_of_another_hand_is_none_of_ours(other: str) -> None:
    assert ClusterName.parse(other) is None


def http_route(*rules: Document, hostnames: tuple[str, ...] = ("shop.example.com",)) -> Document:
    return {
        "metadata": {"name": "shop", "namespace": NAMESPACE},
        "spec": {"hostnames": [*hostnames], "rules": [*rules]},
    }


def backend(name: str, weight: int | None = None) -> Document:
    return {"name": name, "port": 80} if weight is None else {"name": name, "port": 80, "weight": weight}


def test_an_http_route_is_split_by_its_weights(world: World) -> None:
    references: list[JsonValue] = [backend("checkout-stable", 90), backend("checkout-canary", 10)]
    world.http_routes[NAMESPACE, "shop"] = http_route({"backendRefs": references})
    config = translate(world.snapshot())
    assert weights(config, "shop.example.com") == {str(STABLE): 90 * 3, str(CANARY): 10 * 3}
    assert config.warnings == ()
    unset: list[JsonValue] = [backend("checkout-stable"), backend("checkout-canary")]
    world.http_routes[NAMESPACE, "shop"] = http_route({"backendRefs": unset})
    assert weights(translate(world.snapshot()), "shop.example.com") == {str(STABLE): 3, str(CANARY): 3}


def test_of_an_http_route_the_most_specific_match_counts(world: World) -> None:
    slash: Document = {"path": {"type": "PathPrefix", "value": "/"}}
    header: Document = {**slash, "headers": [{"name": "X-Test", "type": "Exact", "value": "1"}]}
    world.http_routes[NAMESPACE, "shop"] = http_route(
        {"matches": [slash], "backendRefs": [backend("checkout-stable")]},
        {"name": "testers", "matches": [header], "backendRefs": [backend("checkout-canary")]},
    )
    config = translate(world.snapshot())
    first, second = items(host(config, "shop.example.com")["routes"])
    assert mapping(first["match"])["headers"] == [{"name": "x-test", "string_match": {"exact": "1"}}]
    assert weights(config, "shop.example.com", 0).keys() == {str(CANARY)}
    assert weights(config, "shop.example.com", 1).keys() == {str(STABLE)}
    assert "headers" not in mapping(second["match"])


def ingress(name: str, service: str, **annotations: str) -> Document:
    path: Document = {
        "path": "/",
        "pathType": "Prefix",
        "backend": {"service": {"name": service, "port": {"number": 80}}},
    }
    rule: Document = {"host": "shop.example.com", "http": {"paths": [path]}}
    notes: Document = {
        f"nginx.ingress.kubernetes.io/{key.replace('_', '-')}": value for key, value in annotations.items()
    }
    return {"metadata": {"name": name, "namespace": NAMESPACE, "annotations": notes}, "spec": {"rules": [rule]}}


def test_an_ingress_is_split_by_the_weight_of_its_canary(world: World) -> None:
    world.ingresses[NAMESPACE, "shop"] = ingress("shop", "checkout-stable")
    assert weights(translate(world.snapshot()), "shop.example.com").keys() == {str(STABLE)}
    canary = ingress("canary", "checkout-canary", canary="true", canary_weight="20", canary_weight_total="200")
    world.ingresses[NAMESPACE, "canary"] = canary
    found = weights(translate(world.snapshot()), "shop.example.com")
    assert found == {str(STABLE): 180 * 3, str(CANARY): 20 * 3}


def test_a_header_of_a_canary_ingress_comes_before_its_weight(world: World) -> None:
    world.ingresses[NAMESPACE, "shop"] = ingress("shop", "checkout-stable")
    canary = ingress("canary", "checkout-canary", canary="true", canary_weight="0", canary_by_header="X-Canary")
    world.ingresses[NAMESPACE, "canary"] = canary
    config = translate(world.snapshot())
    assert weights(config, "shop.example.com", 0).keys() == {str(CANARY)}
    assert weights(config, "shop.example.com", 1).keys() == {str(STABLE)}
