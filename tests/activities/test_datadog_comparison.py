"""The comparison's counts by Datadog, on the wire: queries, windows, what is missing, what is late, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.metrics.comparison import CountQuery
from activities.metrics.datadog.comparison import DatadogComparison
from activities.metrics.datadog.count_answers import read_points
from activities.metrics.datadog.count_queries import count_queries, normal_tag, percentile_queries, timeseries_body
from activities.metrics.datadog.provider import DatadogSettings
from activities.metrics.provider import ResponseError
from activities.secrets.store import NamedSecrets
from sandbox.datadog.series import Ingestion
from sandbox.datadog.traffic import VersionTraffic
from sandbox.rate_limit import RateLimit
from tests.activities.comparing import SECRET, START, TRACE, FakeClock, Lived, datadog, target
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.analysis.compare.models import Comparison, Ruling, Weight
from tidegate.analysis.compare.settings import comparison_of
from tidegate.contract import AnalysisKind, BeginComparison, ErrorType
from tidegate.manifests.providers.compare import Compare

GOLDEN = Path(__file__).parents[1] / "data" / "compare" / "datadog-queries.txt"
STABLE = VersionTraffic("1.0.0", rate=50, pods=2)
CANARY = VersionTraffic("2.0.0", rate=50, pods=2, since=START)
THRESHOLDS = {"slow90": 0.19, "slow99": 0.32, "stuck": 1.28}
OWN = {
    "name": "declined",
    "bad": "sum:payments.declined{service:checkout} by {version}.as_count()",
    "of": "sum:payments.attempts{service:checkout} by {version}.as_count()",
    "times": 1.1,
    "plus": "0.2%",
}


def asked(settings: dict[str, Any]) -> CountQuery:
    compare = Compare.model_validate(settings)
    wanted = comparison_of(compare)
    events = [event.model_copy(update={"slower_than": THRESHOLDS.get(event.name)}) for event in wanted.events]
    wanted = wanted.model_copy(update={"events": tuple(events)})
    return CountQuery(compare, wanted, "payments", "checkout", ("c0ffee", "5bb7bc"), ("2.0.0", "1.0.0"))


def test_every_query_string_is_in_the_golden_file() -> None:
    full = {
        "datadog": {**TRACE, "env": "prod", "filter": "resource_name:post_/pay", "versionTag": "version"},
        "bucket": "30s",
        "events": [{"name": "errors"}, {"name": "slow90"}, {"name": "slow99"}, {"name": "stuck"}, OWN],
    }
    lines = []
    for title, settings in (("defaults", {"datadog": TRACE}), ("everything", full)):
        query = asked(settings)
        found = {**percentile_queries(query), **count_queries(query, "version").texts}
        hosts = count_queries(asked({**settings, "events": [{"name": "errors"}]}), "host", "version:1.0.0").texts
        lines += [f"# {title}", *(f"{name}: {text}" for name, text in found.items())]
        lines += [f"{name} by host: {text}" for name, text in hosts.items()]
    assert GOLDEN.read_text().splitlines() == lines


def test_the_body_asks_for_whole_buckets_in_milliseconds() -> None:
    body = timeseries_body({"hits": "sum:a.b{*}"}, 1_700_000_000, 1_700_000_060, 10)
    attributes = body["data"]
    assert attributes == {
        "type": "timeseries_request",
        "attributes": {
            "from": 1_700_000_000_000,
            "to": 1_700_000_060_000,
            "interval": 10_000,
            "queries": [{"data_source": "metrics", "name": "hits", "query": "sum:a.b{*}"}],
            "formulas": [{"formula": "hits"}],
        },
    }


@pytest.mark.parametrize(
    ("value", "kept"), [("1.0.0-RC1", "1.0.0-rc1"), ("main+4f2 x", "main_4f2_x"), ("a" * 300, "a" * 200)]
)
def test_a_tag_is_looked_for_as_datadog_keeps_it(value: str, kept: str) -> None:
    assert normal_tag(value) == kept


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"times": [0, 20_000], "series": [], "values": []}, "steps of 20 s instead of 10 s"),
        ({"times": [5_000], "series": [], "values": []}, "multiples of 10 s"),
        ({"times": [0], "series": [{"query_index": 7}], "values": [[1]]}, "query 7 of 1"),
        ({"times": [0], "series": [{}], "values": []}, "0 lists of values came for 1 series"),
        ({"times": [0, 10_000], "series": [{}], "values": [[1]]}, "1 values came for 2 times"),
        ({"times": "x"}, "Could not parse JSON body: data.attributes.times"),
    ],
)
def test_an_answer_that_does_not_fit_is_no_count(attributes: dict[str, Any], message: str) -> None:
    body = json.dumps({"data": {"type": "timeseries_response", "attributes": attributes}}).encode()
    with pytest.raises(ResponseError, match=message):
        read_points(body, ["hits"], 10)


async def test_the_hour_before_gives_thresholds_rates_and_a_forecast() -> None:
    async with datadog(STABLE, CANARY) as (_, lived):
        begun = await lived.begin()
    thresholds = {event.name: event.slower_than for event in begun.wanted.events}
    assert thresholds["errors"] is None
    assert thresholds["slow90"] == pytest.approx(0.1 * 1.898, rel=0.03), "log-normal: 0.1 s x exp(1.2816 x 0.5)"
    assert thresholds["stuck"] == pytest.approx(4 * (thresholds["slow99"] or 0))
    assert begun.forecast.load == pytest.approx(50, rel=0.03)
    assert begun.queries == 6, "hits, errors, latencies, and one for each threshold"
    assert begun.forecast.rates[0] == pytest.approx(0.005, rel=0.3)
    assert begun.forecast.rates[1] == pytest.approx(0.1, rel=0.05)
    assert begun.forecast.provable
    assert begun.state.table.final == START
    assert begun.state.checkpoint.events[0].phi == pytest.approx(1, abs=0.3), "hosts that are alike"


async def test_an_automatic_margin_is_chosen_once_and_kept() -> None:
    settings = {"datadog": TRACE, "events": [{"name": "errors", "plus": "auto"}, {"name": "slow90"}]}
    async with datadog(STABLE, CANARY, settings=settings) as (_, lived):
        begun = await lived.begin()
        again = await lived.begin(plus={"errors": 0.01})
    assert 0.001 <= begun.wanted.events[0].margin.plus <= 0.02
    assert again.wanted.events[0].margin.plus == 0.01


async def test_a_good_version_is_proven_and_a_bad_one_is_not() -> None:
    async with datadog(STABLE, CANARY) as (api, lived):
        await lived.begin()
        good = await lived.until_decided()
        assert good.ruling is Ruling.CLEAR, good.sentence
        assert good.sentence.startswith("Proven")
        assert api.requests["/api/v2/query/timeseries"] < 150
    bad = VersionTraffic("2.0.0", rate=50, errors=0.03, pods=2, since=START)
    async with datadog(STABLE, bad) as (_, lived):
        await lived.begin()
        judged = await lived.until_decided()
        assert judged.ruling is Ruling.ABORT
        assert judged.event == "errors"
        assert lived.clock.now < START + 600


async def test_a_canary_that_loses_its_requests_is_aborted() -> None:
    lost = VersionTraffic("2.0.0", rate=50, lost=0.98, pods=2, since=START)
    async with datadog(STABLE, lost) as (_, lived):
        await lived.begin()
        judged = await lived.until_decided()
    assert (judged.ruling, judged.event) == (Ruling.ABORT, "lost")


async def test_a_slow_version_is_aborted_for_what_is_slow() -> None:
    slow = VersionTraffic("2.0.0", rate=50, median=0.16, pods=2, since=START)
    async with datadog(STABLE, slow) as (_, lived):
        await lived.begin()
        judged = await lived.until_decided()
    assert judged.ruling is Ruling.ABORT
    assert judged.event.startswith("slow")


async def test_at_full_traffic_errors_are_held_against_the_hour_before() -> None:
    stable = VersionTraffic("1.0.0", rate=50, pods=2, until=START)
    for errors, ruling, opening in (
        (0.005, Ruling.CLEAR, "Watched, errors:"),
        (0.3, Ruling.ABORT, "Harm, errors, cold"),
    ):
        canary = VersionTraffic("2.0.0", rate=50, errors=errors, pods=2, since=START)
        async with datadog(stable, canary) as (api, lived):
            lived.weights = [Weight(since=START, share=1)]
            begun = await lived.begin(kind=AnalysisKind.BAKE)
            judged = await lived.until_decided()
        assert (begun.queries, api.requests["/api/v2/query/scalar"]) == (2, 0), "hits and errors, no percentiles"
        assert (judged.ruling, judged.sentence.startswith(opening)) == (ruling, True), judged.sentence


async def test_templates_of_an_experiment_are_compared_by_the_hour_before_of_stable() -> None:
    baseline = VersionTraffic("1.0.0-baseline", rate=50, pods=2, since=START)
    async with datadog(STABLE, baseline, CANARY) as (_, lived):
        lived.target = target(stable_version="1.0.0-baseline", hour="5bb7bc", hour_version="1.0.0")
        begun = await lived.begin(kind=AnalysisKind.EXPERIMENT)
        judged = await lived.until_decided()
    assert (begun.wanted.lost, begun.wanted.min_bake) == (False, 0)
    assert judged.ruling is Ruling.CLEAR, judged.sentence


async def counted(lived: Lived, seconds: float) -> dict[str, tuple[float, float, float, float]]:
    """Counts of each event that are final after calls for some seconds."""
    while lived.clock.now < START + seconds:
        await lived.call()
        await lived.clock.sleep(10)
    assert lived.state is not None
    assert lived.wanted is not None
    events = lived.state.checkpoint.events
    return {event.name: known.counts for event, known in zip(lived.wanted.events, events, strict=True)}


async def test_what_comes_late_and_in_parts_is_counted_once_and_whole() -> None:
    async with datadog(STABLE, CANARY) as (_, lived):
        await lived.begin()
        at_once = await counted(lived, 600)
    async with datadog(STABLE, CANARY) as (api, lived):
        await lived.begin()
        api.ingestion = Ingestion(lag=15, errors_lag=95, spread=30)
        late = await counted(lived, 600)
        assert lived.state is not None
        assert lived.state.table.settle > 60, "it was raised by what had changed"
    assert late.keys() == at_once.keys()
    for name, counts in at_once.items():
        assert late[name] == pytest.approx(counts), name


async def test_a_gap_costs_time_and_nothing_else() -> None:
    async with datadog(STABLE, CANARY) as (api, lived):
        await lived.begin()
        api.ingestion = Ingestion(gaps=((START + 100, START + 200),))
        judged = await lived.until_decided()
    assert judged.ruling is Ruling.CLEAR, judged.sentence


async def test_errors_without_a_series_are_none_and_hits_without_one_are_unknown() -> None:
    perfect = VersionTraffic("1.0.0", rate=50, errors=0.0, pods=2)
    async with datadog(perfect, VersionTraffic("2.0.0", rate=50, errors=0.0, since=START + 30)) as (_, lived):
        await lived.begin()
        await lived.clock.sleep(65)
        await lived.call()
        assert lived.state is not None
        rows = {row.start - START: row.counts[0] for row in lived.state.table.rows}
    assert rows[0].canary is None
    assert rows[30].canary is not None
    assert rows[30].canary > 0
    assert rows[30].canary_bad is None
    assert rows[30].stable_bad is None


async def test_requests_of_a_third_version_are_left_out_and_mentioned() -> None:
    third = VersionTraffic("0.9.0", rate=20)
    async with datadog(STABLE, CANARY, third) as (_, lived):
        await lived.begin()
        await lived.clock.sleep(60)
        await lived.call()
        [note] = lived.calls[-1].notes
    assert "17 % of the requests are of other versions (version: 0.9.0)" in note


async def test_a_past_longer_than_an_hour_is_asked_for_in_windows_of_an_hour() -> None:
    async with datadog(STABLE, CANARY, settings={"datadog": TRACE, "maxWait": "3h"}) as (api, lived):
        await lived.begin()
        before = api.requests["/api/v2/query/timeseries"]
        lived.clock.now = START + 4000
        await lived.call()
        assert api.requests["/api/v2/query/timeseries"] == before + 2


async def test_a_rate_limit_is_waited_for_and_loses_nothing() -> None:
    async with datadog(STABLE, CANARY) as (api, lived):
        await lived.begin()
        await lived.clock.sleep(60)
        api.rate_limit = RateLimit(limit=2, period=3600)
        judged = await lived.call()
        assert judged.ruling is Ruling.WAIT
        assert len(lived.calls[-1].readings) == 2, "those before the limit are kept"
        with pytest.raises(ApplicationError) as limited:
            await lived.call()
        assert limited.value.type == ErrorType.RATE_LIMITED
        assert limited.value.next_retry_delay is not None
        assert limited.value.next_retry_delay.total_seconds() > 60
        api.rate_limit = RateLimit(limit=6000, period=60)
        assert (await lived.until_decided()).ruling is Ruling.CLEAR


async def test_an_activity_that_is_lost_is_asked_again_with_the_same_state() -> None:
    async with datadog(STABLE, CANARY) as (_, lived):
        await lived.begin()
        await lived.clock.sleep(120)
        state = lived.state
        first = await lived.call()
        lived.state, lived.clock.now, lived.judged = state, START + 120, None
        assert await lived.call() == first
        assert lived.calls[0] == lived.calls[1]


async def begun(source: dict[str, Any], **changes: Any) -> str:
    """The reason why no comparison begins."""
    async with datadog(STABLE, CANARY, settings=source) as (_, lived):
        lived.target = target(source, **changes)
        with pytest.raises(ApplicationError) as refused:
            await lived.begin()
    assert refused.value.type == ErrorType.REJECTED
    assert refused.value.non_retryable
    return refused.value.message


async def test_versions_that_cannot_be_told_apart_are_refused() -> None:
    same = {"canary_version": "1.0.0"}
    assert "both versions have the same value version:1.0.0" in await begun({"datadog": TRACE}, **same)
    assert "the pod template of canary says no value" in await begun({"datadog": TRACE}, canary_version="")
    given = {"datadog": TRACE, "versions": {"canary": "1.0.0", "stable": "1.0.0"}}
    assert "cannot be told apart" in await begun(given)


async def test_a_stable_without_traffic_by_its_tag_is_refused() -> None:
    errors = {"datadog": TRACE, "events": [{"name": "errors"}]}
    assert "stable has no requests by the tag version:1.1" in await begun(errors, stable_version="1.1")


async def test_latencies_without_the_tag_are_refused() -> None:
    message = await begun({"datadog": TRACE}, stable_version="1.1")
    assert "latencies cannot be compared by the tag version:1.1" in message
    assert "p99:trace.http.request{service:checkout,version:1.1}" in message


async def test_a_setting_that_nothing_can_be_compared_with_is_refused() -> None:
    assert "bucket: must be whole seconds" in await begun({"datadog": TRACE, "bucket": "1s"})


REFUSAL = {"errors": ["unable to parse"]}


async def scripted(server: Script) -> ApplicationError:
    """What comes of a comparison that begins against a server that has its answers."""
    clock = FakeClock()
    async with http_client() as http:
        settings = DatadogSettings(address=server.url)
        secrets = NamedSecrets(MemorySecrets(dict(SECRET)))
        source = DatadogComparison(secrets, http, settings, environment={}, clock=clock, sleep=clock.sleep)
        wanted = {"datadog": TRACE, "events": [{"name": "errors"}]}
        request = BeginComparison(target=target(wanted), at=START, first_traffic=START)
        with pytest.raises(ApplicationError) as refused:
            await run_activity(source.begin, request)
    return refused.value


async def test_a_refused_query_is_named() -> None:
    fine: dict[str, Any] = {"data": {"attributes": {"series": [], "times": [], "values": []}}}
    async with Script() as server:
        error = await scripted(server.then(400, REFUSAL).then(200, fine).then(400, REFUSAL))
        assert [len(seen.json["data"]["attributes"]["queries"]) for seen in server.seen] == [2, 1, 1]
    assert error.type == ErrorType.REJECTED
    assert "Datadog refuses (400) errors: sum:trace.http.request.errors{service:checkout} by {version}" in error.message
    assert "unable to parse" in error.message


async def test_a_server_in_trouble_is_asked_again() -> None:
    async with Script() as server:
        error = await scripted(server.then(503, b"busy"))
    assert error.type == ErrorType.UNAVAILABLE
    assert not error.non_retryable


async def test_no_key_is_in_what_goes_wrong() -> None:
    async with Script() as server:
        error = await scripted(server.then(500, ("a" * 32).encode()))
    assert "a" * 32 not in str(error)


def test_the_numbers_of_a_comparison_survive_the_wire() -> None:
    wanted = comparison_of(Compare.model_validate({"datadog": TRACE, "guard": None}))
    assert Comparison.model_validate_json(wanted.model_dump_json()) == wanted
