"""Releases whose workflow task fails: reported, and terminated after a limit, so that another release can follow.

Such a release takes no abort, and its canary keeps its traffic. The recovery is that of any terminated release: another
one puts the traffic back on stable, as soon as a worker can run it.
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
    """Checks for them on one cluster. It has no state: reports of two watchers count once."""

    def __init__(self, cluster: Cluster, client: TidegateClient, name: str, settings: WatcherSettings) -> None:
        """`name` is the cluster's in requests and workflow ids."""
        self._cluster = cluster
        self._client = client
        self._name = name
        self._settings = settings

    async def run(self) -> None:
        """Check periodically until cancelled."""
        while True:
            await asyncio.sleep(self._settings.stuck_every.total_seconds())
            try:
                await self.check()
            except (TidegateError, ApplicationError) as error:
                log.warning("releases that cannot go on were not checked", why=error.message)
            except Exception:  # an unforeseen error must not stop the watcher
                log.exception("releases that cannot go on were not checked")

    async def check(self) -> None:
        """Report the stuck releases, and terminate those that are over the limit."""
        namespaces = self._settings.followed_namespaces()
        for run in await self._client.stuck(self._name):
            if "" in namespaces or run.rollout.namespace in namespaces:
                await self._enqueue(run, datetime.now(UTC))

    async def _enqueue(self, run: StuckRun, now: datetime) -> None:
        limit = self._settings.stuck_limit
        what = (
            f"{run.workflow_id} cannot go on since {run.since:%H:%M:%S} UTC and takes no message, not even an abort: "
        )
        why = f"its workflow task failed {run.tries - 1} times: {run.why}"
        if not limit or now - run.since < limit:
            after = f" (terminated after {limit}, and recovered)" if limit else " (tidegate leaves it to operators)"
            await self._report(run, STUCK, what + why + after)
            return
        reason = f"{why}. Tidegate's watcher gave it up after {limit}; what it left is put back by a new release"
        # Terminated first, reported second: the report must not delay the traffic.
        await self._client.give_up(run, reason)
        await self._report(run, GIVEN_UP, f"{run.workflow_id} was terminated: {reason}")

    async def _report(self, run: StuckRun, reason: str, message: str) -> None:
        rollout = run.rollout
        found = await self._cluster.find(ROLLOUTS, rollout.namespace, rollout.name)
        about = f"{run.run_id}-{run.since.isoformat()}"
        new = found is None or await warn(self._cluster, found, reason, about, message)
        if new:
            log.error("release stuck", reason=reason, rollout=rollout.workflow_id, run=run.run_id, why=message)
