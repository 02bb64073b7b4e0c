"""Releases whose workflow task fails: said where people look, and after a limit terminated, so that one can follow.

Such a release hears no abort, and its canary keeps its share. What follows a release that was terminated is what
follows whenever somebody terminates one: another puts the traffic back on stable, as soon as a worker can run it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import ROLLOUTS, Cluster
from tidegate.client import StuckRun, TidegateClient, TidegateError
from workers.settings import WatcherSettings
from workers.watch.events import warn

log = structlog.get_logger(__name__)

STUCK: Final = "ReleaseStuck"
GIVEN_UP: Final = "ReleaseTerminated"


class StuckReleases:
    """Looks for them on one cluster. Remembers nothing: two watchers say the same, and it counts once."""

    def __init__(self, cluster: Cluster, client: TidegateClient, name: str, settings: WatcherSettings) -> None:
        """`name` is the cluster's in requests and workflow ids."""
        self._cluster = cluster
        self._client = client
        self._name = name
        self._settings = settings

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(self._settings.stuck_every.total_seconds())
            try:
                await self.look()
            except (TidegateError, ApplicationError) as error:
                log.warning("releases that cannot go on were not looked for", why=error.message)
            except Exception:  # one that nobody foresaw must not keep the watcher from its objects
                log.exception("releases that cannot go on were not looked for")

    async def look(self) -> None:
        """Say which cannot go on, and end those that could not for too long."""
        wanted = self._settings.wanted()
        for run in await self._client.stuck(self._name):
            if "" in wanted or run.rollout.namespace in wanted:
                await self._enqueue(run, datetime.now(UTC))

    async def _enqueue(self, run: StuckRun, now: datetime) -> None:
        limit = self._settings.stuck_limit
        what = f"{run.workflow_id} cannot go on since {run.since:%H:%M:%S} UTC and hears nothing, not even an abort: "
        why = f"its workflow task failed {run.tries - 1} times: {run.why}"
        if not limit or now - run.since < limit:
            after = f" (terminated after {limit}, and recovered)" if limit else " (tidegate leaves it to operators)"
            await self._say(run, STUCK, what + why + after)
            return
        reason = f"{why}. Tidegate's watcher gave it up after {limit}; what it left is put back by a new release"
        # First ended, then told: the word must not keep the traffic where it is.
        await self._client.give_up(run, reason)
        await self._say(run, GIVEN_UP, f"{run.workflow_id} was terminated: {reason}")

    async def _say(self, run: StuckRun, reason: str, message: str) -> None:
        rollout = run.rollout
        found = await self._cluster.find(ROLLOUTS, rollout.namespace, rollout.name)
        about = f"{run.run_id}-{run.since.isoformat()}"
        new = found is None or await warn(self._cluster, found, reason, about, message)
        if new:
            log.error("release stuck", reason=reason, rollout=rollout.workflow_id, run=run.run_id, why=message)
