"""Counters of made-up pods, for a server that stands in for Prometheus and for Prometheus itself."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from sandbox.datadog.traffic import CELL, Traffic
from tests.activities.comparing import START

BOUNDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1.0, 2.5, 5.0)
"""Seconds."""
STALE = 300
_SELECTOR = re.compile(r"(?:sum|count) by \((?P<by>[^)]+)\) \((?P<inner>.*)\)")
_VERSIONS = re.compile(
    r"sum by \(tidegate_version\) \(label_replace\(increase\((?P<inner>.+?)\[1h\]\), "
    r'"tidegate_version", "\$1", "pod", "(?P<pods>[^"]+)"\)\)'
)
_METRIC = re.compile(r"(?:last_over_time\()?(?P<name>\w+)\{(?P<matchers>[^}]*)\}(?:\[1h\]\))?")
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')

Series = dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]


def pod_names(traffic: Traffic) -> dict[str, str]:
    """Names of the pods as their ReplicaSets would give them, by their names in the traffic."""
    hashes = {"1.0.0": "5bb7bc", "2.0.0": "c0ffee"}
    return {
        pod: f"checkout-{hashes[traffic.labels(pod)['version']]}-{pod.replace('-', 'x')}"
        for pod in traffic.hashes(traffic.service)
    }


def counters(traffic: Traffic, start: int, end: int, before: float = 5000.0) -> dict[str, Series]:
    """Samples of each metric by labels, one at each edge of a cell while the pod is there; `before` was counted."""
    found: dict[str, Series] = {"http_requests_total": {}, "http_request_duration_seconds_bucket": {}}
    for pod, name in pod_names(traffic).items():
        version = traffic.versions[int(pod.partition("-")[0])]
        is_old = version.since < start
        begun = before if is_old else 0.0
        fine, failed = begun, 0.0
        inside = dict.fromkeys((*BOUNDS, float("inf")), begun)
        for edge in range(start, end + 1, CELL):
            if not (version.since < edge <= version.until or (is_old and edge <= version.until)):
                continue
            seen = traffic.window(traffic.service, pod, edge - CELL, edge)
            fine, failed = fine + seen.requests - seen.errors, failed + seen.errors
            _append(found["http_requests_total"], {"pod": name, "code": "200", "app": "checkout"}, edge, fine)
            if failed:
                labels = {"pod": name, "code": "500", "app": "checkout"}
                _append(found["http_requests_total"], labels, edge, failed)
            for bound in (*BOUNDS, float("inf")):
                slower = 0.0 if bound == float("inf") else seen.slower(bound * 1000)
                inside[bound] += round(seen.requests - slower)
                labels = {"pod": name, "app": "checkout", "le": "+Inf" if bound == float("inf") else f"{bound:g}"}
                _append(found["http_request_duration_seconds_bucket"], labels, edge, inside[bound])
    return found


def _append(series: Series, labels: Mapping[str, str], at: int, value: float) -> None:
    series.setdefault(tuple(sorted(labels.items())), []).append((at, value))


def openmetrics(found: Mapping[str, Series]) -> Iterator[str]:
    """The same as promtool reads it."""
    yield "# TYPE http_requests counter"
    for labels, samples in found["http_requests_total"].items():
        yield from _lines("http_requests_total", labels, samples)
    yield "# TYPE http_request_duration_seconds_bucket gauge"
    for labels, samples in found["http_request_duration_seconds_bucket"].items():
        yield from _lines("http_request_duration_seconds_bucket", labels, samples)
    yield "# EOF"


def _lines(name: str, labels: tuple[tuple[str, str], ...], samples: list[tuple[int, float]]) -> Iterator[str]:
    written = ",".join(f'{key}="{value}"' for key, value in labels)
    yield from (f"{name}{{{written}}} {value:g} {at}" for at, value in samples)


class Answering:
    """The part of Prometheus that sums series of one metric, as this provider asks for it; `asked` counts by path."""

    def __init__(self, found: Mapping[str, Series]) -> None:
        self.found = found
        self.asked: defaultdict[str, int] = defaultdict(int)
        self.queries: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        form = {name: values[0] for name, values in parse_qs((await request.read()).decode()).items()}
        self.asked[request.path] += 1
        self.queries.append(form["query"])
        if request.path.endswith("query_range"):
            start, end, step = (round(float(form[name])) for name in ("start", "end", "step"))
            times = list(range(start, end + 1, step))
            if versions := _VERSIONS.fullmatch(form["query"]):
                found = self._by_version(versions["inner"], versions["pods"], times)
                return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": found}})
            result: list[dict[str, Any]] = [
                {"metric": dict(group), "values": [[at, f"{value:g}"] for at, value in samples]}
                for group, samples in self._summed(form["query"], times, STALE).items()
            ]
            return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})
        at = round(float(form["time"]))
        result = [
            {"metric": dict(group), "value": [at, f"{samples[0][1]:g}"]}
            for group, samples in self._summed(form["query"], [at], 3600).items()
        ]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _by_version(self, query: str, pods: str, times: list[int]) -> list[dict[str, Any]]:
        """`increase()` over an hour by the hash in the names of pods, without what it extrapolates."""
        inner = _METRIC.fullmatch(query)
        assert inner is not None, query
        totals: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
        for labels, samples in self.found.get(inner["name"], {}).items():
            given = dict(labels)
            if not all(_matches(given.get(name, ""), *rest) for name, *rest in _MATCHER.findall(inner["matchers"])):
                continue
            named = re.fullmatch(pods, given["pod"])
            assert named is not None, given
            for at in times:
                inside = [value for moment, value in samples if at - 3600 < moment <= at]
                if len(inside) > 1:
                    totals[named[1]][at] += inside[-1] - inside[0]
        return [
            {"metric": {"tidegate_version": version}, "values": [[at, f"{value:g}"] for at, value in values.items()]}
            for version, values in totals.items()
        ]

    def _summed(self, query: str, times: list[int], back: int) -> Series:
        outer = _SELECTOR.fullmatch(query)
        assert outer is not None, query
        inner = _METRIC.fullmatch(outer["inner"])
        assert inner is not None, query
        by = [name.strip() for name in outer["by"].split(",")]
        totals: defaultdict[tuple[tuple[str, str], ...], dict[int, float]] = defaultdict(dict)
        for labels, samples in self.found.get(inner["name"], {}).items():
            given = dict(labels)
            if not all(_matches(given.get(name, ""), *rest) for name, *rest in _MATCHER.findall(inner["matchers"])):
                continue
            group = tuple((name, given[name]) for name in by)
            moments = [at for at, _ in samples]
            for at in times:
                index = bisect_right(moments, at) - 1
                if index >= 0 and at - moments[index] < back:
                    totals[group][at] = totals[group].get(at, 0.0) + samples[index][1]
        return {group: sorted(values.items()) for group, values in totals.items() if values}


def _matches(value: str, operator: str, pattern: str) -> bool:
    return value == pattern if operator == "=" else re.fullmatch(pattern, value) is not None


FIRST = round(START) - 3700
"""When the pods of stable are first looked at."""
