"""Counts of a Rollout's versions in virtual time: the real source, the embedded Datadog, and traffic by the weights."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import replace
from datetime import timedelta

import httpx

from activities.metrics.datadog.comparison import DatadogComparison
from activities.metrics.datadog.provider import DatadogSettings
from activities.secrets.store import NamedSecrets
from activities.transport.outgoing import Outgoing
from sandbox.datadog.answers import Answers
from sandbox.datadog.series import Ingestion
from sandbox.datadog.traffic import CELL, Traffic, VersionTraffic
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import meta
from tests.activities.outside import MemorySecrets
from tests.virtual.life import Life
from tests.virtual.temporal.loop import START, running
from tidegate.contract import metrics_queue

ADDRESS = "https://datadog.example"
HOUR = timedelta(hours=1)
SECRETS = {"secret/argo-rollouts/datadog": {"apiKey": "a" * 32, "appKey": "b" * 40}}


class RoutedTraffic:
    """Requests to the service `demo`, split as the VirtualService said at the time; one pod for each version.

    Without one, the Service `active` has all of them: for `canary` when it selects another hash than its first one.
    `stable` and `canary` are versions as they answer, each for `rate` requests a second in all; `alone` is the canary
    once it has all of the traffic. `stable` has all of it until a weight is written.
    """

    def __init__(
        self,
        life: Life,
        rate: float,
        stable: VersionTraffic,
        canary: VersionTraffic,
        alone: VersionTraffic | None = None,
    ) -> None:
        self._life = life
        self._rate = rate
        self._stable = stable
        self._canary = canary
        self._alone = alone or canary
        self._first = ""
        self._changes = [((START - HOUR).timestamp(), 0)]
        life.cluster.api.store.subscribe(self._note)

    def answers(self) -> Answers:
        """What the embedded Datadog answers now."""
        return Answers(Traffic("demo", self._spells()), running().now().timestamp(), float(CELL), Ingestion())

    def _note(self, change: Change) -> None:
        if change.kind is VIRTUAL_SERVICES:
            routes = change.object["spec"]["http"][-1]["route"]
            self._weigh({row["destination"]["host"]: row.get("weight", 0) for row in routes}["canary"])
        elif change.kind is SERVICES and meta(change.object)["name"] == "active":
            hash_ = self._life.cluster.selector("active")
            self._first = self._first or hash_
            self._weigh(0 if hash_ == self._first else 100)

    def _weigh(self, weight: int) -> None:
        if weight != self._changes[-1][1]:
            self._changes.append((running().now().timestamp(), weight))

    def _spells(self) -> list[VersionTraffic]:
        """What each version was sent between two weights, from the first whole cell on."""
        starts = [math.ceil(at / CELL) * float(CELL) for at, _ in self._changes]
        spells = []
        for (_, weight), since, until in zip(self._changes, starts, [*starts[1:], math.inf], strict=True):
            canary = self._alone if weight == 100 else self._canary
            for behaviour, share in ((self._stable, 1 - weight / 100), (canary, weight / 100)):
                spells.append(_spell(behaviour, self._rate * share, since, until))
        return spells


def compare_in(life: Life, traffic: RoutedTraffic) -> None:
    """Let workers of a life count what `traffic` makes up."""
    loop = running()
    source = DatadogComparison(
        NamedSecrets(MemorySecrets(dict(SECRETS))),
        _Wire(traffic),
        DatadogSettings(address=ADDRESS),
        environment={},
        clock=lambda: loop.now().timestamp(),
    )
    life.temporal.register(metrics_queue("datadog"), [source.begin, source.compare])


class _Wire(Outgoing):
    """A client whose requests come to the embedded Datadog without a socket, which a virtual loop cannot wait for."""

    def __init__(self, traffic: RoutedTraffic) -> None:
        httpx.AsyncClient.__init__(self, transport=httpx.MockTransport(functools.partial(_answered, traffic)))


def _answered(traffic: RoutedTraffic, request: httpx.Request) -> httpx.Response:
    answers = traffic.answers()
    answer = answers.scalar if request.url.path.endswith("/scalar") else answers.timeseries
    return httpx.Response(200, stream=httpx.ByteStream(json.dumps(answer(request.content)).encode()))


def _spell(behaviour: VersionTraffic, rate: float, since: float, until: float) -> VersionTraffic:
    return replace(behaviour, rate=rate, since=since, until=until)
