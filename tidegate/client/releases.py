"""The interface of a client that starts releases and follows them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tidegate.client.refs import ReleaseHandle, RolloutRef
    from tidegate.contract import ReleaseRequest, ReleaseResult, ReleaseStatus


class Releases(Protocol):
    """The interface that `tidegate start` needs: `TidegateClient`, over Temporal, or a `GatewayClient`."""

    async def start(self, request: ReleaseRequest) -> ReleaseHandle:
        """Start a release, or supersede the version of the one under way."""
        ...

    async def status(self, rollout: RolloutRef, *, run_id: str | None = None) -> ReleaseStatus:
        """Status of a release."""
        ...

    async def wait(
        self, handle: ReleaseHandle, *, timeout: timedelta | None = None, until_held: bool = False
    ) -> ReleaseResult:
        """Wait for the end of a release."""
        ...
