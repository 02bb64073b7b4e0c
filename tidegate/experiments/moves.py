"""The next action that gives an Experiment's ReplicaSets their pods, or takes them away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tidegate.manifests.experiment import ExperimentSpec
from tidegate.rollouts.experiment_sets import (
    ExperimentMove,
    ExperimentSet,
    KeepUntil,
    Resize,
    WantedSet,
    Withdraw,
    raising,
)


def wanted_sets(name: str, spec: ExperimentSpec) -> tuple[WantedSet, ...]:
    """ReplicaSets that the experiment of that `name` asks for: `<experiment>-<template>`, as in Argo.

    A template without a port has no Service, also where it asks for one.
    """
    return tuple(
        WantedSet(
            name=f"{name}-{each.name}",
            template=each.name,
            replicas=each.wanted_replicas(),
            service=(each.service.name or f"{name}-{each.name}") if each.service and each.has_ports() else "",
        )
        for each in spec.templates
    )


def next_action(
    wanted: Sequence[WantedSet], sets: Sequence[ExperimentSet], now: datetime, delay: timedelta
) -> ExperimentMove | None:
    """The next thing to do, None when there is nothing but to wait.

    `wanted` is empty at the end. A ReplicaSet that is not wanted has its pods for another `delay`, so that clients can
    find others, and stays without pods. It is deleted with the experiment.
    """
    return next(_moves(wanted, sets, now, delay), None)


def down_at(wanted: Sequence[WantedSet], sets: Sequence[ExperimentSet]) -> datetime | None:
    """When the pods of the next ReplicaSet that is not wanted may go, None where none waits for that."""
    names = {each.name for each in wanted}
    return min(
        (each.scale_down_at for each in sets if each.name not in names and each.desired and each.scale_down_at),
        default=None,
    )


def is_down(sets: Sequence[ExperimentSet]) -> bool:
    """True when there is neither a pod nor a Service."""
    return not any(each.desired or each.current or each.service for each in sets)


def _moves(
    wanted: Sequence[WantedSet], sets: Sequence[ExperimentSet], now: datetime, delay: timedelta
) -> Iterator[ExperimentMove]:
    existing = {each.name: each for each in sets}
    for each in wanted:
        yield from raising(each, existing.get(each.name))
    names = {each.name for each in wanted}
    for one in sets:
        if one.name not in names:
            yield from _away(one, now, delay)


def _away(one: ExperimentSet, now: datetime, delay: timedelta) -> Iterator[ExperimentMove]:
    if one.desired and delay and one.scale_down_at is None:
        yield KeepUntil(one.name, now + delay)
    elif not one.desired or not delay or one.scale_down_at is None or one.scale_down_at <= now:
        if one.service:
            yield Withdraw(one.service)
        if one.desired:
            yield Resize(one.name, 0)
