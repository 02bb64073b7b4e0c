"""Workers that go at the boundary of an activity: before it began, or after its effect and before anybody heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from tidegate.contract import Activity
from workflows.activity_calls import HEARTBEAT_TIMEOUT

# A lost worker is noticed at the next heartbeat that is missed. Here it is noticed later, when the release has gone on
# with what it asks for anew each second: this server writes the result of an activity into the middle of a workflow
# task that is under way, where a real one waits for its end, and the history can never be replayed.
NOTICED = 3 * HEARTBEAT_TIMEOUT


class Side(StrEnum):
    """Of an activity."""

    BEFORE = "before"
    AFTER = "after"


class Point(NamedTuple):
    """Where a worker may go: at the attempt of that number of an activity, counted from 0."""

    activity: str
    attempt: int
    side: Side


class Killing(Interceptor):
    """Lets a worker go at `at`, once, and notes every point that was met from the first of `begins` on."""

    def __init__(self, begins: Iterable[Activity], at: Point | None = None) -> None:
        self.met: list[Point] = []
        self.happened = False
        self._begins = set(begins)
        self._begun = False
        self._at = at
        self._attempts: Counter[str] = Counter()

    def intercept_activity(self, inner: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Of every attempt."""
        return _Killed(inner, self)

    def attempt(self) -> tuple[str, int] | None:
        """The one that begins; None where it does not follow what is watched for."""
        name = activity.info().activity_type
        self._begun = self._begun or name in self._begins
        if not self._begun:
            return None
        self._attempts[name] += 1
        return name, self._attempts[name] - 1

    def meet(self, point: Point) -> None:
        """A boundary; raises where the worker goes."""
        self.met.append(point)
        if point == self._at:
            self.happened = True
            raise ApplicationError("the worker went", next_retry_delay=NOTICED)


class _Killed(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, killing: Killing) -> None:
        super().__init__(inner)
        self._killing = killing

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        attempt = self._killing.attempt()
        if attempt is None:
            return await super().execute_activity(input)
        self._killing.meet(Point(*attempt, Side.BEFORE))
        result = await super().execute_activity(input)
        self._killing.meet(Point(*attempt, Side.AFTER))
        return result
