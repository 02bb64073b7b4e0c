"""Each metric is shown by the part of the product that knows it, under the name and the labels of the list."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.testing import ActivityEnvironment

from activities.kubernetes.client import ROLLOUTS, Cluster
from activities.metrics.datadog.provider import DatadogProvider
from activities.metrics.prometheus.provider import PrometheusProvider
from activities.secrets.store import NamedSecrets
from sandbox.kubernetes_api import KubernetesApi
from sandbox.processes import LOOPBACK, free_port
from tests.activities.outside import MemorySecrets, Script, http_client
from tests.activities.prometheus_api import vector
from tests.activities.test_datadog_measure import KEYS, P99, PATH, columns
from tests.sandbox.kubernetes.kube import serving
from tests.structure.sources import PRODUCT, ROOT, modules
from tests.telemetry.metering import Metering
from tidegate.contract import MeasureRequest
from tidegate.contract import metrics as listed
from tidegate.contract.metrics import METRICS, READY, RELEASES_ENDED, Histogram
from workers.metrics_page import render
from workers.watch.gauges import RolloutGauges

METERING = Metering()


def measured(*metrics: dict[str, Any]) -> MeasureRequest:
    return MeasureRequest(namespace="payments", run="checkout-1", metrics=metrics)


async def test_requests_to_providers_are_counted_and_datadogs_budget_is_shown() -> None:
    metering, environment = Metering(), ActivityEnvironment()
    environment.metric_meter = metering.meter
    budget = {"X_RateLimit_Limit": "6000", "X_RateLimit_Remaining": "5999"}
    async with Script().then(200, columns([0.02]), **budget) as server, http_client() as http:
        secrets = NamedSecrets(MemorySecrets({PATH: {**KEYS, "address": server.url}}))
        await environment.run(DatadogProvider(secrets, http, environment={}).measure, measured(P99))
    budget = {"X_RateLimit_Limit": "many", "X_RateLimit_Remaining": "1"}
    async with Script().then(405).then(200, vector("1"), **budget) as server, http_client() as http:
        provider = PrometheusProvider(NamedSecrets(MemorySecrets()), http)
        for address in (server.url, f"http://{LOOPBACK}:{free_port()}"):
            metric = {"name": "m", "provider": {"prometheus": {"address": address, "query": "up"}}}
            await environment.run(provider.measure, measured(metric))
    assert metering.samples("tidegate_provider") == {
        "tidegate_provider_requests_total 200 datadog": 1,
        "tidegate_provider_requests_total 405 prometheus": 1,
        "tidegate_provider_requests_total 200 prometheus": 1,
        "tidegate_provider_requests_total error prometheus": 1,
        "tidegate_provider_rate_limit_requests datadog": 6000,
        "tidegate_provider_rate_limit_remaining datadog": 5999,
    }


async def test_requests_to_the_api_server_are_counted() -> None:
    metering = Metering()
    async with serving(KubernetesApi()) as kube:
        cluster = await Cluster.connect(url=kube.api.url, meter=metering.meter)
        try:
            assert await cluster.find(ROLLOUTS, "payments", "checkout") is None
            await cluster.listing(ROLLOUTS, "payments", {})
        finally:
            await cluster.close()
    assert metering.samples("tidegate_kubernetes") == {
        "tidegate_kubernetes_requests_total 404 GET": 1,
        "tidegate_kubernetes_requests_total 200 GET": 1,
    }


def rollout(phase: str, step: Any = None, weight: Any = 0) -> dict[str, Any]:
    canary = {"weights": {"canary": {"weight": weight}}}
    stable = "new" if phase == "Healthy" else "old"
    hashes = {"stableRS": stable, "currentPodHash": "new"}
    return {"status": {"phase": phase, "currentStepIndex": step, "canary": canary, **hashes}}


def test_a_rollout_is_shown_as_its_status_says() -> None:
    metering, now = Metering(), [100.0]
    gauges = RolloutGauges(metering.meter, clock=lambda: now[0])
    checkout, cart = ("payments", "checkout"), ("payments", "cart")
    gauges.show_all("payments", {checkout: rollout("Progressing", 0, 10), cart: {"status": {"phase": ["x"]}}})
    now[0] = 130.0
    gauges.show(checkout, rollout("Paused", 0, 10))
    gauges.show(cart, rollout("Healthy", 3, 100))
    assert metering.samples("tidegate_rollout") == {
        "tidegate_rollouts Healthy payments": 1,
        "tidegate_rollouts Paused payments": 1,
        "tidegate_rollouts Progressing payments": 0,
        "tidegate_rollouts Unknown payments": 0,
        "tidegate_rollout_step cart payments": 0,
        "tidegate_rollout_step checkout payments": 1,
        "tidegate_rollout_step_started_timestamp_seconds checkout payments": 100,
        "tidegate_rollout_weight cart payments": 0,
        "tidegate_rollout_weight checkout payments": 10,
    }
    gauges.show_all("payments", {cart: rollout("Healthy")})
    gone = metering.samples("tidegate_rollout")
    assert (gone["tidegate_rollouts Paused payments"], gone["tidegate_rollout_weight checkout payments"]) == (0, 0)


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=1)


@given(ANYTHING)
def test_a_status_that_somebody_else_wrote_does_no_harm(value: Any) -> None:
    key, shown = ("payments", "checkout"), RolloutGauges(METERING.meter)
    for found in (rollout("Progressing", value, value), {"status": value}, {"status": {"canary": value}}):
        shown.show(key, found)
    shown.show(key, rollout("Progressing", 1, 20))
    assert METERING.samples("tidegate_rollout_weight") == {"tidegate_rollout_weight checkout payments": 20}


def test_other_labels_than_those_of_the_list_are_refused() -> None:
    metering = Metering()
    with pytest.raises(ValueError, match="outcome"):
        RELEASES_ENDED.add(metering.meter, phase="Healthy")


def test_names_are_those_of_the_field() -> None:
    for metric in METRICS:
        kind = type(metric).__name__
        assert re.fullmatch(r"tidegate(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (kind == "Counter")
        assert not isinstance(metric, Histogram) or (metric.name.endswith("_seconds") and metric.buckets)
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_each_metric_of_the_list_is_shown_somewhere_and_no_other() -> None:
    files = [file for package in PRODUCT for file in modules(package)]
    texts = {file: file.read_text() for file in files if file.name not in ("metrics_page.py",)}
    own = ROOT / "tidegate" / "contract" / "metrics.py"
    elsewhere = "\n".join(text for file, text in texts.items() if file != own)
    names = {name for name, value in vars(listed).items() if value in METRICS}
    assert len(names) == len(METRICS)
    assert READY in METRICS
    assert [name for name in names if not re.search(rf"\b{name}\.(add|set|observe)\(", elsewhere)] == []
    assert "create_counter(" not in elsewhere
    assert "create_gauge" not in elsewhere


def test_the_page_has_each_metric() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == render(), "python -m workers.metrics_page > docs/metrics.md"
