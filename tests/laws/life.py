"""The world of one schedule: an image's tag says whether it is good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from activities.kubernetes.replica_sets import hash_of
from tests.laws.schedules import WEATHERS, Schedule
from tests.laws.shapes import BAD, UNCLEAR, UNMEASURED
from tests.virtual.cluster import tag_of
from tests.virtual.life import Life
from tests.virtual.temporal.chances import Chances
from tidegate.analysis.reading import Reading


class ScheduledLife(Life):
    """One whose chances, weather and watchers are those of a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        chances = Chances(schedule.seed, WEATHERS[schedule.weather])
        super().__init__(chances, self._reading, ready_after=3, watchers=schedule.watchers)
        self.cluster.apply(*schedule.shape.surroundings())

    def _reading(self, run: str, metric: Mapping[str, Any], now: datetime) -> Reading:
        sets = self.cluster.replica_sets()
        tags = {tag_of(each) for each in sets if (hash_ := hash_of(each)) and hash_ in run}
        result = 1.0 if tags & BAD else 0.5 if UNCLEAR in tags else 0.0
        nothing = UNMEASURED in tags
        return Reading(
            metric=str(metric["name"]),
            result=None if nothing else result,
            value="" if nothing else str(result),
            no_data=nothing,
            started_at=now,
            finished_at=now,
        )
