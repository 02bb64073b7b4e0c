"""An experiment step: ReplicaSets side by side, and what has to be done so that they stand, or go again. Pure.

Traffic reaches a template only when its pods are available (law 1), and its pods go only when no route leads to them
(law 2). Source of the rules: argo-rollouts, experiments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from tidegate.manifests.steps import ExperimentStep
from tidegate.rollouts.experiment_sets import (
    ExperimentMove,
    ExperimentSet,
    KeepUntil,
    Remove,
    WantedSet,
    Withdraw,
    raising,
)

KEPT_AFTERWARDS: Final = timedelta(seconds=30)
"""How long pods stay after their share of the traffic went (argo-rollouts, an experiment's scaleDownDelaySeconds)."""
UNEVEN: Final = -1
"""Share of a Service whose routes do not agree."""


def wanted_sets(step: ExperimentStep, prefix: str) -> tuple[WantedSet, ...]:
    """ReplicaSets that an experiment asks for, `prefix` being its name: `<rollout>-<hash>-<revision>-<step>`.

    A template with a weight has a Service, also without asking for one.
    """
    return tuple(
        WantedSet(
            name=(name := f"{prefix}-{template.name}"),
            template=template.name,
            spec_ref=template.spec_ref,
            replicas=1 if template.replicas is None else template.replicas,
            service=((template.service.name if template.service else "") or name)
            if template.service is not None or template.weight is not None
            else "",
            weight=template.weight or 0,
        )
        for template in step.templates
    )


def next_step(
    wanted: Sequence[WantedSet], standing: Sequence[ExperimentSet], shares: Mapping[str, int], now: datetime
) -> ExperimentMove | None:
    """The next thing to do, None when there is nothing but to wait.

    `shares` are what the routes say: percent by Service. A ReplicaSet that is not wanted goes, whatever left it.
    """
    return next(_steps(wanted, standing, shares, now), None)


def shares_to_route(
    wanted: Iterable[WantedSet], standing: Iterable[ExperimentSet], shares: Mapping[str, int]
) -> dict[str, int]:
    """Percent by Service that the routes are to give: when all pods are available, and then while any is (law 1)."""
    existing = {each.name: each for each in standing}
    found: dict[str, int] = {}
    for each in wanted:
        one = existing.get(each.name)
        if one is None or not each.weight or one.service != each.service:
            continue
        enough = 1 if shares.get(each.service) else max(1, each.replicas)
        if one.available >= enough:
            found[each.service] = each.weight
    return found


def is_complete(wanted: WantedSet, one: ExperimentSet | None, shares: Mapping[str, int]) -> bool:
    """True when a template stands as it was asked for: pods, Service and share of the traffic."""
    if one is None or one.scale_down_at is not None or one.service != wanted.service:
        return False
    return one.desired == wanted.replicas <= one.available and shares.get(wanted.service, 0) == wanted.weight


def requeue_at(standing: Iterable[ExperimentSet]) -> datetime | None:
    """When the next ReplicaSet may go, None where none waits for that."""
    return min((each.scale_down_at for each in standing if each.scale_down_at is not None), default=None)


def _steps(
    wanted: Sequence[WantedSet], standing: Sequence[ExperimentSet], shares: Mapping[str, int], now: datetime
) -> Iterator[ExperimentMove]:
    existing = {each.name: each for each in standing}
    for each in wanted:
        yield from raising(each, existing.get(each.name))
    names = {each.name for each in wanted}
    for one in standing:
        if one.name not in names and not shares.get(one.service):
            yield from _away(one, now)


def _away(one: ExperimentSet, now: datetime) -> Iterator[ExperimentMove]:
    """A Service may have had traffic until a moment ago, which not every proxy may know: its pods linger."""
    if one.service and one.scale_down_at is None:
        yield KeepUntil(one.name, now + KEPT_AFTERWARDS)
    elif one.scale_down_at is None or one.scale_down_at <= now:
        if one.service:
            yield Withdraw(one.service)
        yield Remove(one.name)
