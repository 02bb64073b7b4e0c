"""The demo app: what an image tag makes of it, and what the kubelet says of a pod that runs it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sandbox.checkout import GOOD_P99_MS, SLOW_P99_MS, Behaviour, UnknownImageError, behaviour
from sandbox.documents import Document, items, mapping
from sandbox.pods import PodSpec, PodStatus, Probe

REGISTRY = "registry.internal/payments/checkout"


@pytest.fixture
def dice() -> Iterator[None]:
    """Random numbers that are the same each time."""
    state = random.getstate()
    random.seed(7)
    yield
    random.setstate(state)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("1.0.0", Behaviour("1.0.0")),
        ("1.2.0-rc.1", Behaviour("1.2.0-rc.1")),
        ("9f8d111d", Behaviour("9f8d111d")),
        ("1.1.0-bad", Behaviour("1.1.0-bad", error_rate=0.2)),
        ("9f8d111d-bad", Behaviour("9f8d111d-bad", error_rate=0.2)),
        ("1.2.0-slow", Behaviour("1.2.0-slow", p99_ms=SLOW_P99_MS)),
        ("1.3.0-unready", Behaviour("1.3.0-unready", ready=False)),
    ],
)
def test_the_tag_says_how_a_version_behaves(tag: str, expected: Behaviour) -> None:
    assert behaviour(f"{REGISTRY}:{tag}", {}) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("1.0.0", Behaviour("1.0.0", error_rate=0.02)),
        ("1.1.0-worse", Behaviour("1.1.0-worse", error_rate=0.04)),
        ("1.1.0-silent", Behaviour("1.1.0-silent", error_rate=0.02, silent=0.95)),
    ],
)
def test_a_cart_always_has_errors(tag: str, expected: Behaviour) -> None:
    assert behaviour(f"registry.internal/payments/cart:{tag}", {}) == expected


def test_the_environment_overrides_the_tag() -> None:
    env = {"CHECKOUT_ERROR_RATE": "0.5", "CHECKOUT_LATENCY_MS": "30"}
    assert behaviour(f"{REGISTRY}:1.0.0-slow", env) == Behaviour("1.0.0-slow", error_rate=0.5, p99_ms=30.0)


@pytest.mark.parametrize("image", ["nginx:1.27", f"{REGISTRY}:latest", f"{REGISTRY}:1.0.0-fast", REGISTRY, ""])
def test_other_images_are_not_in_the_registry(image: str) -> None:
    with pytest.raises(UnknownImageError, match="not found"):
        behaviour(image, {})


@pytest.mark.parametrize("text", ["1.5", "-0.1", "many", "nan"])
def test_a_variable_out_of_range_is_refused_by_name_and_value(text: str) -> None:
    with pytest.raises(ValueError, match=rf"CHECKOUT_ERROR_RATE: '{text}' is not a number from 0 to 1"):
        behaviour(f"{REGISTRY}:1.0.0", {"CHECKOUT_ERROR_RATE": text})


@pytest.mark.parametrize("p99", [GOOD_P99_MS, SLOW_P99_MS])
@pytest.mark.usefixtures("dice")
def test_the_p99_is_as_said_and_nothing_takes_twice_as_long(p99: float) -> None:
    latencies = sorted(Behaviour("1.0.0", p99_ms=p99).latency() * 1000 for _ in range(20_000))
    assert latencies[19_800] == pytest.approx(p99, rel=0.05)
    assert latencies[-1] <= 2 * p99
    assert latencies[10_000] == pytest.approx(p99 / 1.6, rel=0.05)


def pod(image: str = f"{REGISTRY}:1.0.0", **fields: Document) -> Document:
    return {
        "metadata": {
            "namespace": "payments",
            "name": "checkout-1",
            "uid": "u1",
            "labels": {"rollouts-pod-template-hash": "aaa"},
            **fields.get("metadata", {}),
        },
        "spec": {"containers": [{"name": "checkout", "image": image, **fields.get("container", {})}]},
        "status": fields.get("status", {}),
    }


def conditions(status: Document) -> dict[str, object]:
    return {str(each["type"]): each["status"] for each in items(status["conditions"])}


def test_a_pod_is_read_with_its_probe_and_environment() -> None:
    container: Document = {
        "env": [{"name": "CHECKOUT_ERROR_RATE", "value": "0.1"}, {"name": "SECRET", "valueFrom": {}}],
        "readinessProbe": {"httpGet": {"path": "/ready"}, "periodSeconds": 1, "initialDelaySeconds": 2},
    }
    spec = PodSpec.read(pod(container=container))
    assert spec.probe == Probe("/ready", initial_delay=2.0, period=1.0)
    assert spec.behaviour().error_rate == 0.1
    assert (spec.pod_hash, spec.restarts, spec.grace) == ("aaa", 0, None)


def test_a_container_that_ran_before_was_restarted() -> None:
    before: Document = {"containerStatuses": [{"name": "checkout", "restartCount": 2, "state": {"running": {}}}]}
    assert PodSpec.read(pod(status=before)).restarts == 3
    waiting: Document = {"containerStatuses": [{"name": "checkout", "restartCount": 0, "state": {"waiting": {}}}]}
    assert PodSpec.read(pod(status=waiting)).restarts == 0


def test_a_deleted_pod_has_its_grace() -> None:
    deleted: Document = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5}
    assert PodSpec.read(pod(metadata=deleted)).grace == 5.0


def test_a_running_pod_is_ready_when_its_probe_says_so() -> None:
    status = PodStatus(PodSpec.read(pod()))
    starting, ready = status.running(ready=False), status.running(ready=True)
    assert conditions(starting) == {
        "PodScheduled": "True",
        "Initialized": "True",
        "ContainersReady": "False",
        "Ready": "False",
    }
    assert set(conditions(ready).values()) == {"True"}
    assert (ready["phase"], ready["podIP"]) == ("Running", "127.0.0.1")
    container = items(ready["containerStatuses"])[0]
    assert container["ready"] is True
    assert "running" in mapping(container["state"])


def test_a_pod_without_its_image_waits_and_has_no_address() -> None:
    status = PodStatus(PodSpec.read(pod("nginx:1"))).waiting("ImagePullBackOff", "nginx:1: not found")
    assert (status["phase"], status["podIP"]) == ("Pending", None)
    container = items(status["containerStatuses"])[0]
    assert container["state"] == {"waiting": {"reason": "ImagePullBackOff", "message": "nginx:1: not found"}}
    assert conditions(status)["Ready"] == "False"
