"""Releases of the past, and releases that are asked for again; `TidegateClient` inherits them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from tidegate.client.errors import RefusedError
from tidegate.client.queries import with_status
from tidegate.client.refs import PastRelease, ReleaseHandle, ReleaseSummary, RolloutRef, images_of, outcome_of
from tidegate.client.runs import ended_badly, first_request, is_running, newest_run, past_releases, with_memo
from tidegate.client.starts import Starts
from tidegate.client.translation import not_found
from tidegate.contract import Document, ErrorType, ReleaseRequest, ReleaseStatus
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
        return await self._again(rollout, by, reason)

    async def set_image(
        self, rollout: RolloutRef, images: Mapping[str, str], *, by: str = "", reason: str = ""
    ) -> ReleaseHandle:
        """Release the manifests of the newest release with other images, by container; `*` is each of them.

        Raises `RefusedError` where they are not known, and ManifestError for a container that there is not.
        """
        return await self._again(rollout, by, reason, lambda manifest: _with_images(manifest, images))

    async def restart(self, rollout: RolloutRef, *, by: str = "", reason: str = "") -> ReleaseHandle:
        """Replace the pods that there are now, a few at a time (`spec.restartAt`): by the release under way, or by one
        of the stable version where none is.

        Raises `RefusedError` after a release that ended badly: the same manifests would be another attempt.
        """
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is not None and ended_badly(run):
            message = f"{rollout.workflow_id}: the newest release did not end well, and a restart would be its retry"
            raise RefusedError(message, "release a version first: tidegate retry, or tidegate undo", ErrorType.REJECTED)
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return await self._again(rollout, by, reason, lambda manifest: _with_restart(manifest, at))

    async def _again(
        self, rollout: RolloutRef, by: str, reason: str, change: Callable[[Document], Document] = lambda same: same
    ) -> ReleaseHandle:
        """Request the manifests of the newest release again, with a change of its Rollout."""
        request = await first_request(self._temporal, rollout.workflow_id, ReleaseRequest)
        if request is None:
            if await newest_run(self._temporal, rollout.workflow_id) is None:
                raise not_found(rollout.workflow_id)
            raise RefusedError(f"{rollout.workflow_id}: its manifests are kept no longer", _ANEW, ErrorType.REJECTED)
        status = await self._query(rollout.workflow_id, None, ReleaseStatus)
        if not is_version_of(request, status):
            message = f"{rollout.workflow_id}: its version came after the start, and only the first manifests are kept"
            raise RefusedError(message, _ANEW, ErrorType.REJECTED)
        # What the first request asked for beside its version was for that time alone (law 4).
        reset = {"full": False, "field": None, "aborted": False, "requested_at": None, "by": by, "reason": reason}
        return await self.start(request.model_copy(update=reset | {"rollout": change(request.rollout)}))


def is_version_of(request: ReleaseRequest, status: ReleaseStatus) -> bool:
    """True when a release is of the version that the request is for."""
    manifest = request.resolved().rollout
    rollout = RolloutRef(cluster=request.cluster, namespace=request.namespace, name=request.name)
    wanted = ReleaseHandle(rollout, "", "", images_of(manifest), version_of(manifest).template_hash)
    return not wanted.is_superseded(status.images, status.template_hash)


def _with_images(manifest: Document, images: Mapping[str, str]) -> Document:
    # Here, as no other command of them reads manifests.
    from tidegate.manifests.documents import from_objects
    from tidegate.manifests.images import apply_images

    return apply_images(from_objects([manifest]), dict(images)).rollout().raw


def _with_restart(manifest: Document, at: str) -> Document:
    return manifest | {"spec": manifest["spec"] | {"restartAt": at}}


def _past(run: ReleaseSummary, status: ReleaseStatus | None) -> PastRelease:
    known = {**run.model_dump(), "outcome": outcome_of(run.state, status)}
    if status is not None:
        known |= {"revision": status.revision, "phase": status.phase, "weight": status.set_weight, "by": status.by}
        known |= {"images": status.images, "message": status.message}
    return PastRelease.model_validate(known)
