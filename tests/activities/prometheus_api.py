"""What the tests of the Prometheus provider share: metrics, answers, and one measurement."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from activities.metrics.prometheus.provider import PrometheusProvider, PrometheusSettings
from activities.secrets.store import NamedSecrets
from tests.activities.outside import MemorySecrets, Script, Seen, http_client, run_activity
from tidegate.analysis.reading import Reading
from tidegate.contract import MeasureRequest

NOW = 1_700_000_003.25


def metric(name: str, query: str = "q", **prometheus: Any) -> dict[str, Any]:
    return {"name": name, "provider": {"prometheus": {"query": query, **prometheus}}}


def data(kind: str, result: Any, **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


def vector(*values: str) -> dict[str, Any]:
    return data(
        "vector", [{"metric": {"pod": f"p{index}"}, "value": [NOW, value]} for index, value in enumerate(values)]
    )


async def measure(server: Script, *metrics: dict[str, Any], **request: Any) -> list[Reading]:
    async with http_client() as http:
        store = MemorySecrets({"secret/namespaces/payments/team": {"token": "tenant-4711"}})
        settings = PrometheusSettings(address=server.url)
        provider = PrometheusProvider(NamedSecrets(store), http, settings, environment={}, clock=lambda: NOW)
        asked = MeasureRequest(namespace="payments", run="checkout-1", metrics=metrics, **request)
        readings: list[Reading] = await run_activity(provider.measure, asked)
    return readings


def form(seen: Seen) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(seen.body.decode(), strict_parsing=True).items()}
