"""Where manifests may lead the providers, and that the address that was judged is the one that is connected to."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from aiohttp import web

from activities.metrics.prometheus.provider import PrometheusProvider
from activities.metrics.web.provider import WebProvider
from activities.secrets.store import NamedSecrets
from activities.transport.egress import Egress, NotAllowedError
from activities.transport.http import TransportError, exchange
from activities.transport.outgoing import Outgoing
from tests.activities.outside import LOOPBACK, MemorySecrets, Script, http_client, run_activity
from tidegate.analysis.reading import Reading
from tidegate.contract import MeasureRequest

# Nobody has set anything, as in production.
UNSET = Egress()
FORBIDDEN = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "127.0.0.1.",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[64:ff9b::169.254.169.254]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "2852039166",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "168.63.129.16",
    "100.100.100.200",
    "0.1.2.3",
    "0",
    "[::]",
    "255.255.255.255",
    "224.0.0.1",
    "[ff02::1]",
]


async def refused(url: str, egress: Egress = UNSET, resolved: Sequence[str] | None = None) -> str:
    """Why a URL is not asked; whatever is resolved without need is a failure."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [host.strip("[]")] if resolved is None else resolved

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with Outgoing(egress, context, resolve=resolve) as http:
        with pytest.raises(TransportError) as caught:
            await exchange(http, "GET", url, timeout=5)
    return str(caught.value)


@pytest.mark.parametrize("host", FORBIDDEN)
async def test_an_address_of_the_machine_the_link_or_the_cloud_is_not_asked_in_any_form(host: str) -> None:
    async with Script().then(200, b"{}") as server:
        port = httpx.URL(server.url).port
        for userinfo in ("", "prometheus.monitoring.svc@", "user:password@"):
            why = await refused(f"http://{userinfo}{host}:{port}/latest")
            assert "is not asked" in why
            assert "TIDEGATE_METRICS__HOSTS" in why
            assert "password" not in why
        assert server.seen == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:7f00:1", "fd00:ec2::254"])
async def test_a_name_that_leads_there_is_not_asked_even_where_every_name_is_allowed(address: str) -> None:
    for egress in (UNSET, Egress.of(["*"]), Egress.of(["metrics.example"])):
        why = await refused("http://metrics.example/", egress, ["93.184.215.14", address])
        assert why.startswith(f"metrics.example is not asked: {address} is ")


@pytest.mark.parametrize("host", ["0177.0.0.1", "0251.0376.0251.0376", "1.2.3.4.5", "127.0.0.0x1g"])
def test_what_is_neither_a_name_nor_an_address_is_not_asked(host: str) -> None:
    with pytest.raises(NotAllowedError):
        UNSET.judge_name(host, 80, proxied=False)


@pytest.mark.parametrize(
    ("listed", "host", "allowed"),
    [
        ("prometheus.monitoring.svc", "prometheus.monitoring.svc", True),
        ("prometheus.monitoring.svc", "PROMETHEUS.Monitoring.svc.", True),
        ("prometheus.monitoring.svc", "a.prometheus.monitoring.svc", False),
        ("prometheus.monitoring.svc", "prometheus.monitoring.svc.evil.example", False),
        (".internal", "grafana.internal", True),
        (".internal", "a.b.internal", True),
        (".internal", "internal", False),
        (".internal", "evilinternal", False),
        ("*", "anything.example", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "0xa010203", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "anything.example", False),
        ("*", "10.1.2.3", False),
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.0/8", "2130706433", True),
        ("::1", "::1", True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", False),
    ],
)
@pytest.mark.parametrize("proxied", [False, True])
def test_a_list_names_all_that_is_asked(listed: str, host: str, allowed: bool, proxied: bool) -> None:
    egress = Egress.of([listed])
    if allowed:
        egress.judge_name(host, 80, proxied=proxied)
    else:
        with pytest.raises(NotAllowedError, match="is not asked"):
            egress.judge_name(host, 80, proxied=proxied)


@pytest.mark.parametrize(
    "entry", ["https://grafana.internal", "10.0.0.0/33", "a/b", "user@host", "", "a..b", "*.internal"]
)
def test_an_entry_that_is_no_host_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="is neither a host"):
        Egress.of([entry])


def test_through_a_proxy_goes_only_what_is_named() -> None:
    for host in ("anything.example", "93.184.215.14", "localhost", "metadata.google.internal"):
        with pytest.raises(NotAllowedError, match="there is no list"):
            UNSET.judge_name(host, 443, proxied=True)
    Egress.of([], trusted=["https://api.datadoghq.com"]).judge_name("api.datadoghq.com", 443, proxied=True)


def test_what_the_settings_name_is_asked_there_and_at_no_other_port() -> None:
    egress = Egress.of(["grafana.internal"], trusted=["http://localhost:9090/prefix", "https://api.datadoghq.com"])
    egress.judge_name("localhost", 9090, proxied=False)
    egress.judge_name("api.datadoghq.com", 443, proxied=False)
    for host, port in (("localhost", 9091), ("api.datadoghq.com", 80)):
        with pytest.raises(NotAllowedError):
            egress.judge_name(host, port, proxied=False)


class Listening:
    """One port on two loopback addresses; says at which of them a request arrived."""

    def __init__(self) -> None:
        async def answer(request: web.Request) -> web.Response:
            assert request.transport is not None
            return web.Response(text=str(request.transport.get_extra_info("sockname")[0]))

        app = web.Application()
        app.router.add_get("/", answer)
        self.runner = web.AppRunner(app)

    async def __aenter__(self) -> int:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        port = int(self.runner.addresses[0][1])
        await web.TCPSite(self.runner, "127.0.0.2", port).start()
        return port

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()


async def test_the_address_that_was_judged_is_the_one_that_is_connected_to() -> None:
    """DNS rebinding: whoever answers for the name says something else as soon as it was judged."""
    asked: list[str] = []

    async def rebound(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    egress = Egress.of(["metrics.example", "127.0.0.2"])
    async with Listening() as port, Outgoing(egress, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), resolve=rebound) as http:
        url, close = f"http://metrics.example:{port}/", {"Connection": "close"}
        answer = await exchange(http, "GET", url, timeout=5, headers=close)
        assert (answer.quoted, asked) == ("127.0.0.2", ["metrics.example"])
        with pytest.raises(TransportError, match=r"127\.0\.0\.1 is a loopback address"):
            await exchange(http, "GET", url, timeout=5)


async def test_an_address_that_does_not_answer_is_passed_over_for_the_next() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["::1", "127.0.0.1"]

    async with Script().then(200, b"here") as server:
        port = httpx.URL(server.url).port
        async with Outgoing(LOOPBACK, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), resolve=resolve) as http:
            assert (await exchange(http, "GET", f"http://two.example:{port}/", timeout=5)).quoted == "here"


async def measured(
    provider: type[WebProvider] | type[PrometheusProvider], metric: dict[str, Any], egress: Egress
) -> Reading:
    async with http_client(egress) as http:
        request = MeasureRequest(namespace="payments", run="r", metrics=({"name": "m", "provider": metric},))
        [reading] = await run_activity(provider(NamedSecrets(MemorySecrets()), http).measure, request)
    assert isinstance(reading, Reading)
    return reading


async def test_every_url_of_a_manifest_is_judged() -> None:
    async with Script().then(200, {"access_token": "t"}) as server:
        oauth2 = {"tokenUrl": server.url, "clientId": "i", "clientSecret": "s"}
        elsewhere = {"url": "http://192.0.2.1/", "authentication": {"oauth2": oauth2}}
        metrics: list[tuple[type[WebProvider] | type[PrometheusProvider], dict[str, Any]]] = [
            (WebProvider, {"web": {"url": server.url}}),
            (WebProvider, {"web": {"url": server.url, "insecure": True}}),
            (WebProvider, {"web": elsewhere}),
            (PrometheusProvider, {"prometheus": {"address": server.url, "query": "up"}}),
            (PrometheusProvider, {"prometheus": {"address": server.url, "query": "up", "insecure": True}}),
        ]
        for provider, metric in metrics:
            reading = await measured(provider, metric, UNSET)
            assert "127.0.0.1 is not asked: it is a loopback address" in reading.error
        assert server.seen == []
        assert (await measured(WebProvider, {"web": {"url": server.url}}, LOOPBACK)).error == ""
