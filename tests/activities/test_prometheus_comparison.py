"""The comparison's counts by Prometheus: against a server that stands in for it, and against Prometheus itself."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from temporalio.exceptions import ApplicationError

from activities.metrics.comparison import CountQuery
from activities.metrics.prometheus.comparison import PrometheusComparison
from activities.metrics.prometheus.count_queries import event_counters, known_query
from activities.metrics.prometheus.provider import PrometheusSettings
from activities.secrets.store import NamedSecrets
from sandbox.datadog.traffic import Traffic, VersionTraffic
from sandbox.processes import until
from tests.activities.comparing import START, FakeClock, Lived, target
from tests.activities.outside import MemorySecrets, Script, http_client
from tests.activities.prometheus_counts import FIRST, Answering, Series, counters, openmetrics
from tidegate.analysis.compare.models import CountRow, Ruling, Weight
from tidegate.analysis.compare.settings import comparison_of
from tidegate.contract import AnalysisKind, ErrorType
from tidegate.manifests.providers.compare import Compare

GOLDEN = Path(__file__).parents[1] / "data" / "compare" / "prometheus-queries.txt"
SOURCE = {
    "requests": "http_requests_total",
    "errors": 'code=~"5.."',
    "latency": "http_request_duration_seconds",
    "matchers": 'app="checkout"',
}
STABLE = VersionTraffic("1.0.0", rate=50, pods=2)
CANARY = VersionTraffic("2.0.0", rate=50, pods=2, since=START)
BAD = VersionTraffic("2.0.0", rate=50, errors=0.03, pods=2, since=START)


def lived(url: str, settings: dict[str, Any] | None = None, **changes: Any) -> tuple[Callable[[Any], Lived], FakeClock]:
    """A release that compares by a server at `url`, given a client."""
    clock = FakeClock()

    def made(http: Any) -> Lived:
        source = PrometheusComparison(
            NamedSecrets(MemorySecrets({"secret/namespaces/payments/team": {"token": "tenant-4711"}})),
            http,
            PrometheusSettings(address=url),
            environment={},
            clock=clock,
            sleep=clock.sleep,
        )
        weight = Weight(since=START, share=0.5, canary_pods=2, stable_pods=2, last=True)
        return Lived(source, clock, target(settings or {"prometheus": SOURCE}, **changes), [weight])

    return made, clock


@asynccontextmanager
async def standing_in(traffic: Traffic, seconds: int, **changes: Any) -> AsyncIterator[tuple[Answering, Lived]]:
    answering = Answering(counters(traffic, FIRST, round(START) + seconds))
    async with Script() as server, http_client() as http:
        server.then_do(answering)
        made, _ = lived(server.url, **changes)
        yield answering, made(http)


def asked(settings: dict[str, Any]) -> CountQuery:
    compare = Compare.model_validate({"prometheus": settings})
    query = CountQuery(compare, comparison_of(compare), "payments", "checkout.eu", ("c0ffee", "5bb7bc"), ("", ""))
    return query.with_thresholds({"slow90": 0.25, "slow99": 0.5, "stuck": 2.5})


def test_every_query_string_is_in_the_golden_file() -> None:
    lines = []
    for title, settings in (("defaults", SOURCE), ("a label of one's own", {**SOURCE, "podLabel": "instance"})):
        query = asked(settings)
        texts = dict.fromkeys(text for event in event_counters(query) for text in (event.bad, event.of))
        lines += [f"# {title}", *texts, known_query(query)]
    assert GOLDEN.read_text().splitlines() == lines


async def test_the_hour_before_gives_bounds_and_each_pod_is_a_group() -> None:
    async with standing_in(Traffic("checkout", [STABLE, CANARY]), 0) as (_, release):
        begun = await release.begin()
    bounds = {event.name: event.slower_than for event in begun.wanted.events}
    assert bounds == {"errors": None, "slow90": 0.2, "slow99": 0.35, "stuck": 2.5}
    assert any(note.startswith("slow90: slower than 0.2 s, as 8") for note in begun.notes)
    assert begun.forecast.load == pytest.approx(50, rel=0.03)
    assert begun.queries == 4, "requests, errors, latencies, and the pods that are known"
    assert begun.forecast.rates[0] == pytest.approx(0.005, rel=0.3)
    assert begun.state.checkpoint.events[1].phi == pytest.approx(1, abs=0.3)


async def test_a_good_version_is_proven_and_a_bad_one_aborted() -> None:
    async with standing_in(Traffic("checkout", [STABLE, CANARY]), 3600) as (_, release):
        await release.begin()
        assert (await release.until_decided()).ruling is Ruling.CLEAR
    async with standing_in(Traffic("checkout", [STABLE, BAD]), 900) as (_, release):
        await release.begin()
        judged = await release.until_decided()
        assert (judged.ruling, judged.event) == (Ruling.ABORT, "errors")


async def rows_after(release: Lived, seconds: float) -> dict[int, CountRow]:
    """The newest row of each bucket after calls for some seconds."""
    await release.begin()
    while release.clock.now < START + seconds:
        await release.call()
        await release.clock.sleep(10)
    readings = [reading for call in release.calls for reading in call.readings]
    return {row.start: row for reading in readings for row in reading.rows}


def check_truth(rows: dict[int, CountRow], traffic: Traffic, end: int) -> None:
    """Compare rows with what the traffic really was: requests and errors of both versions in each bucket."""
    for start in range(round(START), end, 10):
        counts = rows[start].counts[0]
        for version, requests, bad in (
            ("1.0.0", counts.stable, counts.stable_bad),
            ("2.0.0", counts.canary, counts.canary_bad),
        ):
            pods = [pod for pod in traffic.hashes("checkout") if traffic.labels(pod)["version"] == version]
            windows = [traffic.window("checkout", pod, start, start + 10) for pod in pods]
            assert requests == sum(window.requests for window in windows), (start, version)
            assert (bad or 0) == sum(window.errors for window in windows), (start, version)


# A pod of stable that joins, one that goes, and one of the canary that joins later.
MOVING = Traffic(
    "checkout",
    [
        STABLE,
        VersionTraffic("1.0.0", rate=20, until=START + 300),
        VersionTraffic("1.0.0", rate=20, since=START + 100),
        CANARY,
        VersionTraffic("2.0.0", rate=20, since=START + 200),
    ],
)


async def test_pods_that_come_and_go_are_counted_as_they_were() -> None:
    async with standing_in(MOVING, 700) as (_, release):
        rows = await rows_after(release, 700)
    check_truth(rows, MOVING, round(START) + 600)


def beside(traffic: Traffic, seconds: int) -> dict[str, Series]:
    """Counters with those of two templates of an experiment, whose pods' names begin like those of the canary."""
    found = counters(traffic, FIRST, round(START) + seconds)
    trial = counters(Traffic("checkout", [STABLE, CANARY], seed=2), FIRST, round(START) + seconds, before=0.0)
    for metric, series in trial.items():
        for labels, samples in series.items():
            given = dict(labels)
            side = "trial" if "c0ffee" in given["pod"] else "baseline"
            name = f"checkout-c0ffee-2-1-{side}-{given['pod'].rpartition('-')[2]}"
            later = [(at, value) for at, value in samples if at > START]
            found[metric][tuple(sorted({**given, "pod": name}.items()))] = later
    return found


async def test_pods_of_an_experiment_are_not_those_of_the_version() -> None:
    traffic = Traffic("checkout", [STABLE, CANARY])
    async with Script() as server, http_client() as http:
        server.then_do(Answering(beside(traffic, 600)))
        made, _ = lived(server.url)
        rows = await rows_after(made(http), 600)
    check_truth(rows, traffic, round(START) + 500)


async def test_templates_of_an_experiment_are_compared_by_the_hour_before_of_stable() -> None:
    sides = {"canary": "c0ffee-2-1-trial", "stable": "c0ffee-2-1-baseline", "hour": "5bb7bc"}
    async with Script() as server, http_client() as http:
        server.then_do(Answering(beside(Traffic("checkout", [STABLE, CANARY]), 1200)))
        made, clock = lived(server.url, **sides)
        release = made(http)
        begun = await release.begin(kind=AnalysisKind.EXPERIMENT)
        judged = await release.until_decided()
    assert begun.forecast.load == pytest.approx(50, rel=0.03), "of stable's own pods"
    assert judged.ruling is Ruling.CLEAR, judged.sentence
    assert clock.now < START + 1200


async def test_at_full_traffic_the_errors_of_one_version_are_counted() -> None:
    before = VersionTraffic("1.0.0", rate=50, pods=2, until=START)
    async with standing_in(Traffic("checkout", [before, CANARY]), 900) as (answering, release):
        begun = await release.begin(kind=AnalysisKind.BAKE)
        judged = await release.until_decided()
    assert [event.name for event in begun.wanted.events] == ["errors"]
    assert (judged.ruling, judged.sentence[:8]) == (Ruling.CLEAR, "Watched,")
    assert not any("bucket" in query for query in answering.queries), "no latencies are read"


async def test_a_pod_that_restarts_begins_at_zero() -> None:
    traffic = Traffic("checkout", [STABLE, CANARY])
    found = counters(traffic, FIRST, round(START) + 600)
    for series in found.values():
        for labels, samples in series.items():
            if "c0ffee" in dict(labels)["pod"]:
                at = next((index for index, (moment, _) in enumerate(samples) if moment > START + 200), len(samples))
                before = samples[at - 1][1]
                series[labels] = [*samples[:at], *((moment, value - before) for moment, value in samples[at:])]
    async with Script() as server, http_client() as http:
        server.then_do(Answering(found))
        made, _ = lived(server.url)
        rows = await rows_after(made(http), 600)
    check_truth(rows, traffic, round(START) + 500)


async def test_without_pods_of_stable_nothing_can_be_compared() -> None:
    settings = {"prometheus": {name: text for name, text in SOURCE.items() if name != "latency"}}
    async with standing_in(Traffic("checkout", [CANARY]), 100, settings=settings) as (_, release):
        with pytest.raises(ApplicationError, match=r"no pod is called checkout-5bb7bc-") as refused:
            await release.begin()
    assert refused.value.type == ErrorType.REJECTED


async def test_a_secret_is_in_no_error_and_no_note() -> None:
    settings = {"prometheus": {**SOURCE, "authentication": {"basicAuth": {"username": "u", "password": "{{args.p}}"}}}}
    secret = {"p": {"name": "team", "key": "token"}}
    async with Script() as server, http_client() as http:
        server.then(500, b"no user u with tenant-4711")
        made, _ = lived(server.url, settings, secret_args=secret)
        with pytest.raises(ApplicationError) as refused:
            await made(http).begin()
        assert server.seen[0].headers["Authorization"].startswith("Basic ")
    assert refused.value.type == ErrorType.UNAVAILABLE
    assert "tenant-4711" not in str(refused.value)


@pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are not installed (Debian's package prometheus has both)",
)
async def test_prometheus_itself_answers_the_same(tmp_path: Path) -> None:
    written = tmp_path / "counters.om"
    written.write_text("\n".join(openmetrics(counters(MOVING, FIRST, round(START) + 700))) + "\n")
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", written, tmp_path / "data"]
    await asyncio.to_thread(subprocess.run, blocks, check=True, capture_output=True, timeout=120)
    async with prometheus(tmp_path) as url, http_client() as http:
        made, _ = lived(url)
        rows = await rows_after(made(http), 700)
    check_truth(rows, MOVING, round(START) + 600)


@asynccontextmanager
async def prometheus(folder: Path) -> AsyncIterator[str]:
    """Prometheus with the blocks in a folder, and with nothing to scrape."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        "prometheus", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: _is_ready(url), 30, "Prometheus")
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
