"""The spec of the object in the cluster, beside that of the release under way."""

from __future__ import annotations

from typing import Any

import pytest

from activities.reconcile.live_spec import LiveSpec
from tests.activities.counted import Counted
from tidegate.manifests.rollout import RolloutSpec

OWN = RolloutSpec(replicas=5)


def live(version: str = "1", **spec: Any) -> Counted:
    return Counted(metadata={"name": "checkout", "resourceVersion": version}, spec=spec)


def test_an_object_is_read_once_for_each_of_its_versions() -> None:
    specs, found, later = LiveSpec(OWN), live(), live("2", paused=True)
    assert [specs.replicas(found) for _ in range(3)] == [1, 1, 1]
    assert found.reads == 1
    assert specs.spec(later).paused
    assert (found.reads, later.reads) == (1, 1)


def test_an_object_that_says_its_replicas_is_not_read_for_them() -> None:
    found = live(replicas=7)
    assert LiveSpec(OWN).replicas(found) == 7
    assert found.reads == 0


@pytest.mark.parametrize(
    ("found", "replicas"),
    [(None, 5), (live(), 1), (live(replicas=-1), 5), (live(replicas=3, steps=[]), 3), (live(steps=[]), 5)],
    ids=["no object", "no number", "a number of no pods", "unreadable with a number", "unreadable"],
)
def test_what_cannot_be_read_takes_nothing_from_the_release_under_way(found: Counted | None, replicas: int) -> None:
    specs = LiveSpec(OWN)
    assert specs.replicas(found) == replicas
    assert specs.spec(found).wanted_replicas() == replicas
