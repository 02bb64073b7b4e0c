"""Who reaches whom: what each process needs passes, and what a stolen one would like does not."""

from __future__ import annotations

import pytest

from tests.deploy.flows import Peer, Pod, allowed
from tests.deploy.manifests import DEPLOY, render

SINGLE = render(DEPLOY / "kustomize" / "overlays" / "single-cluster-web")
REMOTE = render(DEPLOY / "kustomize" / "overlays" / "per-cluster-worker")


def ours(component: str) -> Pod:
    return Pod("tidegate", {"app.kubernetes.io/name": "tidegate", "app.kubernetes.io/component": component})


WORKFLOWS, METRICS, FOLLOW_UP, PIPELINES, CODEC, CLUSTER, WATCHER, PAGE = map(
    ours, ("workflows", "metrics", "follow-up", "gateway", "codec", "cluster", "watcher", "web")
)
EVERYBODY = (WORKFLOWS, METRICS, FOLLOW_UP, PIPELINES, CODEC, CLUSTER, WATCHER, PAGE)
TEMPORAL = Pod("temporal", {"app.kubernetes.io/name": "temporal", "app.kubernetes.io/component": "frontend"})
HISTORY = Pod("temporal", {"app.kubernetes.io/name": "temporal", "app.kubernetes.io/component": "history"})
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
PROXY = Pod("egress-proxy", {"app.kubernetes.io/name": "egress-proxy"})
SIGN_IN = Pod("oauth2-proxy", {"app.kubernetes.io/name": "oauth2-proxy"})
PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"})
GATEWAY = Pod("istio-ingress", {"istio": "ingressgateway"})
CHECKOUT = Pod("payments", {"app": "checkout"})
API_SERVER, VAULT, REMOTE_TEMPORAL = "10.10.0.1", "10.20.0.10", "10.20.0.20"
CLOUD_METADATA, INTERNET = "169.254.169.254", "93.184.216.34"


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        *((each, TEMPORAL, 7233) for each in EVERYBODY if each is not CODEC),
        *((each, VAULT, 8200) for each in (METRICS, FOLLOW_UP, WATCHER)),
        *((each, API_SERVER, 6443) for each in (CLUSTER, WATCHER)),
        *((each, PROXY, 3128) for each in (METRICS, FOLLOW_UP, PIPELINES)),
        *((PROMETHEUS, each, 9464) for each in EVERYBODY if each is not CODEC),
        (GATEWAY, CODEC, 8234),
        (GATEWAY, WATCHER, 8082),
        (GATEWAY, PIPELINES, 8083),
        (GATEWAY, PAGE, 8084),
        (PAGE, SIGN_IN, 4180),
    ],
)
def test_what_is_needed_passes(source: Peer, target: Peer, port: int) -> None:
    assert allowed(SINGLE, source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        *((each, address, port) for each in EVERYBODY for address in (CLOUD_METADATA, INTERNET) for port in (80, 443)),
        *((each, CHECKOUT, 8080) for each in EVERYBODY),
        *((each, HISTORY, 7234) for each in EVERYBODY),
        *((each, other, 8081) for each in EVERYBODY for other in EVERYBODY),
        *((each, VAULT, 8200) for each in (WORKFLOWS, CLUSTER, CODEC, PIPELINES, PAGE)),
        *((each, API_SERVER, 6443) for each in (WORKFLOWS, METRICS, FOLLOW_UP, CODEC, PIPELINES, PAGE)),
        *((each, PROXY, 3128) for each in (WORKFLOWS, CLUSTER, WATCHER, CODEC, PAGE)),
        (CODEC, TEMPORAL, 7233),
        (CLUSTER, "10.10.0.1", 22),
        (METRICS, "10.20.0.11", 8200),
        (CHECKOUT, CODEC, 8234),
        (CHECKOUT, WATCHER, 8082),
        (CHECKOUT, PIPELINES, 8083),
        (CHECKOUT, PAGE, 8084),
        (CHECKOUT, METRICS, 9464),
        (PROMETHEUS, CODEC, 8234),
        (GATEWAY, CLUSTER, 8081),
        (Pod("tidegate", {"app": "stranger"}), TEMPORAL, 7233),
        (Pod("tidegate", {"app": "stranger"}), INTERNET, 443),
    ],
)
def test_what_nobody_needs_does_not(source: Peer, target: Peer, port: int) -> None:
    assert not allowed(SINGLE, source, target, port)


def test_names_are_asked_for_and_nothing_else_of_the_system() -> None:
    for each in EVERYBODY:
        assert allowed(SINGLE, each, DNS, 53, "UDP")
        assert not allowed(SINGLE, each, DNS, 9153)


def test_a_cluster_connects_to_the_release_plane_and_opens_no_port_for_it() -> None:
    for each in (CLUSTER, WATCHER):
        assert allowed(REMOTE, each, REMOTE_TEMPORAL, 7233)
        assert not allowed(REMOTE, each, TEMPORAL, 7233)
        assert not any(allowed(REMOTE, REMOTE_TEMPORAL, each, port) for port in (443, 7233, 8081, 8082, 9464))


def test_without_the_default_everything_would_pass() -> None:
    opened = [obj for obj in SINGLE if obj["kind"] != "NetworkPolicy"]
    assert allowed(opened, CLUSTER, CLOUD_METADATA, 80)
