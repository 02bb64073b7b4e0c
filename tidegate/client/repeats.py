"""Releases of the past, and releases that are asked for again; `TidegateClient` inherits them."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final

from tidegate.client.errors import RefusedError, not_found
from tidegate.client.queries import with_status
from tidegate.client.refs import PastRelease, ReleaseHandle, ReleaseSummary, RolloutRef, images_of, outcome_of
from tidegate.client.runs import ended_badly, first_request, is_running, newest_run, past_releases, with_memo
from tidegate.client.starts import Starts
from tidegate.contract import ErrorType, ReleaseRequest, ReleaseStatus
from tidegate.manifests.documents import from_objects
from tidegate.manifests.images import apply_images
from tidegate.rollouts.version import version_of

AT_ONCE: Final = 4  # queries to releases that have ended, each of which a worker replays
_ANEW: Final = "start it with its manifests: tidegate start -f FILE"


class Repeats(Starts):
    """Methods of a client for what was, and for the same again."""

    async def history(self, rollout: RolloutRef, *, limit: int = 10) -> Sequence[PastRelease]:
        """The last releases of a Rollout, the newest first; without a worker, what Temporal itself keeps of them.

        Raises `NotFoundError` where there is none.
        """
        found = await past_releases(self._temporal, rollout, limit)
        if not found:
            raise not_found(rollout.workflow_id)

        def query(run: ReleaseSummary) -> Awaitable[ReleaseStatus]:
            return self._query(run.workflow_id, run.run_id, ReleaseStatus)

        return [_past(run, status) for run, status in await with_status(found, query, AT_ONCE)]

    async def kept(self, rollout: RolloutRef) -> PastRelease | None:
        """The newest release as Temporal itself keeps it, which needs no worker; None where there is none."""
        run = await newest_run(self._temporal, rollout.workflow_id)
        return await with_memo(self._temporal, run) if run is not None else None

    async def retry(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> ReleaseHandle:
        """Release the version again whose newest release ended badly. Raises `RefusedError` after any other."""
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is not None and (is_running(run) or not ended_badly(run)):
            state = "is under way" if is_running(run) else "was promoted"
            raise RefusedError(f"{rollout.workflow_id}: the newest release {state}", _ANEW, ErrorType.REJECTED)
        return await self._again(rollout, {}, by, reason)

    async def set_image(
        self, rollout: RolloutRef, images: Mapping[str, str], *, by: str = "", reason: str = ""
    ) -> ReleaseHandle:
        """Release the manifests of the newest release with other images, by container; `*` is each of them.

        Raises `RefusedError` where they are not known, and ManifestError for a container that there is not.
        """
        return await self._again(rollout, images, by, reason)

    async def _again(self, rollout: RolloutRef, images: Mapping[str, str], by: str, reason: str) -> ReleaseHandle:
        request = await first_request(self._temporal, rollout.workflow_id, ReleaseRequest)
        if request is None:
            if await newest_run(self._temporal, rollout.workflow_id) is None:
                raise not_found(rollout.workflow_id)
            raise RefusedError(f"{rollout.workflow_id}: its manifests are kept no longer", _ANEW, ErrorType.REJECTED)
        status = await self._query(rollout.workflow_id, None, ReleaseStatus)
        manifest = request.resolved().rollout
        first = ReleaseHandle(rollout, "", "", images_of(manifest), version_of(manifest).template_hash)
        if first.is_superseded(status.images, status.template_hash):
            message = f"{rollout.workflow_id}: its version came after the start, and only the first manifests are kept"
            raise RefusedError(message, _ANEW, ErrorType.REJECTED)
        changed: dict[str, Any] = {"by": by, "reason": reason, "requested_at": None}
        if images:
            manifests = apply_images(from_objects([request.rollout]), dict(images))
            changed["rollout"] = manifests.rollout().raw
        return await self.start(request.model_copy(update=changed))


def _past(run: ReleaseSummary, status: ReleaseStatus | None) -> PastRelease:
    known = {**run.model_dump(), "outcome": outcome_of(run.state, status)}
    if status is not None:
        known |= {"revision": status.revision, "phase": status.phase, "weight": status.set_weight, "by": status.by}
        known |= {"images": status.images, "message": status.message}
    return PastRelease.model_validate(known)
