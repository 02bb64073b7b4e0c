"""Port to the store of secrets, so that an activity can be given any store, and Kubernetes Secrets within it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from activities.errors import rejected

# A name comes from a manifest and becomes part of a path: nothing in it may lead to another secret.
_NAME = re.compile(r"[a-z0-9]([-.]?[a-z0-9])*")
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")


class Secrets(Protocol):
    """Store of secrets, each a map of text under a path such as `secret/argo-rollouts/datadog`.

    Both methods raise ApplicationError of type `NotFound`, `Unauthorized`, `RateLimited`, `Rejected` or `Unavailable`;
    its text names the path and never a value.
    """

    async def read(self, path: str) -> Mapping[str, str]:
        """The secret, possibly from memory."""
        ...

    async def refresh(self, path: str) -> Mapping[str, str]:
        """The secret as it stands now: for a consumer whose credential was refused.

        While the store is away this may be what was read before; whoever finds the same reports the refusal.
        """
        ...


def check_path(system: str, path: str) -> None:
    """Refuse a path that is none, or leads out of the place where it was put: parts of it may come from a manifest.

    Raises ApplicationError of type `Rejected` that names `system`.
    """
    if not _PATH.fullmatch(path) or ".." in path:
        raise rejected(
            system,
            f"path {path!r}: write it as mount/path, such as secret/argo-rollouts/datadog, "
            "of letters, digits, '.', '_' and '-'",
        )


@dataclass(frozen=True)
class NamedSecrets:
    """Kubernetes Secrets by namespace and name, which stand in `store` under `path`: `secret/{namespace}/{name}`."""

    store: Secrets
    path: str = "secret/{namespace}/{name}"

    async def read(self, namespace: str, name: str, *, fresh: bool = False) -> Mapping[str, str]:
        """Content of a Secret, with `fresh` as it stands now. Raises ApplicationError as `Secrets` does."""
        for part in (namespace, name):
            if not _NAME.fullmatch(part):
                raise rejected(
                    "Secret", f"{namespace}/{name}: {part!r} is no name: lower case letters, digits, '-', '.'"
                )
        path = self.path.format(namespace=namespace, name=name)
        return await (self.store.refresh(path) if fresh else self.store.read(path))


@dataclass(frozen=True)
class NoSecrets:
    """The store of whoever is given none; implements the port `Secrets`. `why` is what there is to know or to do."""

    why: str

    async def read(self, path: str) -> Mapping[str, str]:
        """Never succeeds: raises `Rejected`."""
        raise rejected(path, f"no secret store is set; {self.why}")

    refresh = read
