"""Port to the store of secrets: what an activity needs of it, so that it can be given any store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Secrets(Protocol):
    """Store of secrets, each a map of text under a path such as `secret/argo-rollouts/datadog`.

    Both methods raise ApplicationError of type `NotFound`, `Unauthorized`, `RateLimited`, `Rejected` or `Unavailable`;
    its text names the path and never a value.
    """

    async def read(self, path: str) -> Mapping[str, str]:
        """The secret, possibly from memory."""
        ...

    async def refresh(self, path: str) -> Mapping[str, str]:
        """The secret as it stands now: for a consumer whose credential was refused."""
        ...
