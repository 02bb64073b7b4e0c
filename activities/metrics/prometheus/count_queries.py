"""Which raw counters of both versions Prometheus is query for, once for each pod."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from activities.metrics.comparison import CountQuery
from activities.metrics.provider import ConfigError
from tidegate.manifests.providers.compare import ERRORS, LATENCY_EVENTS, ComparePrometheus

ALL: Final = "+Inf"
"""Bound of the bucket that holds all requests."""
VERSION_LABEL: Final = "tidegate_version"
_SUFFIX: Final = re.compile(r"[a-z0-9]*([^a-z0-9-].*)?", re.DOTALL)
_SPECIAL: Final = re.compile(r"([.+])")
# Of names of Rollouts, and of bounds, which have no other characters that a regular expression reads.


class EventCounters(NamedTuple):
    """Queries of the bad requests of an event and of all; `bound` is that of a bucket whose requests are not bad."""

    bad: str
    of: str
    bound: float | None = None


def source_of(query: CountQuery) -> ComparePrometheus:
    """Settings of Prometheus. Raises ConfigError."""
    if query.settings.prometheus is None:
        raise ConfigError("prometheus is missing: this metric is counted elsewhere")
    return query.settings.prometheus


def version_prefixes(query: CountQuery) -> tuple[str, str]:
    """Prefixes of the names of canary's and stable's pods: the names of their ReplicaSets."""
    canary, stable = (f"{query.rollout}-{each}-" for each in query.hashes)
    return canary, stable


def is_pod_of(pod: str, prefix: str) -> bool:
    """True for a pod of the ReplicaSet whose pods' names begin so, and for the pod of that name.

    `checkout-c0ffee-2-1-trial-x7k2p` is one of an experiment, and not of the ReplicaSet `checkout-c0ffee`. What follows
    a pod's own name, such as a port, may be anything.
    """
    return pod.startswith(prefix) and _SUFFIX.fullmatch(pod.removeprefix(prefix)) is not None


def event_counters(query: CountQuery) -> list[EventCounters]:
    """Queries of each event, in its order. Raises ConfigError for a latency event without a threshold."""
    described = {event.name: event for event in query.settings.wanted_events()}
    found = []
    for event in query.wanted.events:
        if event.name == ERRORS:
            found.append(EventCounters(errors_query(query), requests_query(query)))
        elif event.name in LATENCY_EVENTS:
            if event.slower_than is None:
                raise ConfigError(f"{event.name} has no threshold: the hour before was not read")
            text = latency_query(query, _thresholds(query))
            found.append(EventCounters(text, text, event.slower_than))
        else:
            own = described[event.name]
            found.append(EventCounters(own.bad.strip(), own.of.strip()))
    return found


def requests_query(query: CountQuery) -> str:
    """Requests of each pod of both versions."""
    source = source_of(query)
    return f"sum by ({source.pod_label}) ({_selected(query, source.requests)})"


def errors_query(query: CountQuery) -> str:
    """Failed requests of each pod of both versions."""
    source = source_of(query)
    return f"sum by ({source.pod_label}) ({_selected(query, source.requests, source.errors)})"


def latency_query(query: CountQuery, bounds: Iterable[float] = ()) -> str:
    """Buckets of the histogram of each pod, those with one of `bounds` and the last; without bounds all of them."""
    source = source_of(query)
    label = source.pod_label
    names = dict.fromkeys(name for bound in bounds for name in (f"{bound:g}", repr(bound)))
    matcher = 'le=~"' + "|".join([*map(_literal, names), _literal(ALL)]) + '"' if names else ""
    return f"sum by ({label}, le) ({_selected(query, source.latency + '_bucket', matcher)})"


def known_query(query: CountQuery) -> str:
    """Pods of both versions that were there in the hour before."""
    source = source_of(query)
    return f"count by ({source.pod_label}) (last_over_time({_selected(query, source.requests)}[1h]))"


def versions_query(query: CountQuery) -> str:
    """Requests of an hour by the hash in the names of the Rollout's pods, `<rollout>-<hash>-<suffix>`."""
    source = source_of(query)
    pods = f"{_literal(query.rollout)}-([a-z0-9]+)-[a-z0-9]+"
    given = ",".join([*([source.matchers.strip().rstrip(",")] if source.matchers.strip() else []), ""])
    counted = f'increase({source.requests.strip()}{{{given}{source.pod_label}=~"{pods}"}}[1h])'
    replaced = f'label_replace({counted}, "{VERSION_LABEL}", "$1", "{source.pod_label}", "{pods}")'
    return f"sum by ({VERSION_LABEL}) ({replaced})"


def _selected(query: CountQuery, metric: str, *matchers: str) -> str:
    source = source_of(query)
    pods = f'{source.pod_label}=~"{_literal(query.rollout)}-({"|".join(query.hashes)})-.+"'
    given = [each.strip().rstrip(",") for each in (source.matchers, *matchers) if each.strip()]
    return f"{metric.strip()}{{{','.join([*given, pods])}}}"


def _thresholds(query: CountQuery) -> list[float]:
    return sorted({event.slower_than for event in query.wanted.events if event.slower_than is not None})


def _literal(text: str) -> str:
    """Text that stands for itself in a regular expression, without the backslashes that PromQL would read."""
    return _SPECIAL.sub(r"[\1]", text)
