"""Port to the store of secrets, so that an activity can be given any store, and Kubernetes Secrets within it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from activities.transport.errors import rejected

# A name comes from a manifest and becomes part of a path: nothing in it may lead to another secret.
_NAME = re.compile(r"[a-z0-9]([-.]?[a-z0-9])*")
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")
_LETTERS = "letters, digits, '.', '_' and '-'"


class Secrets(Protocol):
    """Store of secrets, each a map of text under a path such as `secret/argo-rollouts/datadog`.

    Both methods raise ApplicationError of type `NotFound`, `Unauthorized`, `RateLimited`, `Rejected` or `Unavailable`;
    its text names the path and never a value.
    """

    async def read(self, path: str) -> Mapping[str, str]:
        """The secret, possibly from memory."""
        ...

    async def refresh(self, path: str) -> Mapping[str, str]:
        """The secret without a cache: for a consumer with a rejected credential.

        While the store is away it may be the last one read; a consumer that gets the same one reports the rejection.
        """
        ...


def check_name(name: str, where: str) -> None:
    """Refuse a part of a path that came from a manifest and is more than a name. Raises ApplicationError `Rejected`."""
    if not _NAME.fullmatch(name):
        raise rejected("Secret", f"{where}: {name!r} is no name: lower case letters, digits, '-', '.'")


def check_path(system: str, path: str) -> None:
    """Refuse a path that is none, or leads out of the place where it was put: parts of it may come from a manifest.

    Raises ApplicationError of type `Rejected` that names `system`.
    """
    if not _PATH.fullmatch(path) or ".." in path:
        raise rejected(
            system,
            f"path {path!r}: write it as mount/path, such as secret/argo-rollouts/datadog, of {_LETTERS}",
        )


# A segment of every path of a Secret that a manifest can name, and of no path of Tidegate's own: whatever the settings
# of two processes say, none of the one is ever one of the other.
USERS: Final = "namespaces"


def variable(path: str, key: str) -> str:
    """Name of the variable that holds a key of the secret at `path`, where secrets are variables."""
    return "__".join([*(re.sub(r"[^A-Z0-9]", "_", part.upper()) for part in path.split("/")), key])


def is_of_users(path: str) -> bool:
    """True when a manifest can name the secret at `path`, in any store."""
    # As variables, which tell the fewest paths apart: neither case nor punctuation makes a difference there.
    return USERS.upper() in variable(path, "").split("__")


def own_path(path: str) -> str:
    """`path` itself, where it is fit for a secret of Tidegate's own. Raises ValueError for one in the users' tree."""
    if not _PATH.fullmatch(path) or ".." in path:
        raise ValueError(f"write it as mount/path, such as secret/tidegate/git, of {_LETTERS}")
    if is_of_users(path):
        raise ValueError(
            f"a path with {USERS!r} in it holds Secrets that manifests name: put this one elsewhere, "
            "such as secret/tidegate/..."
        )
    return path


def users_tree(path: str) -> str:
    """`path` itself, where it is fit for the tree of users' Secrets. Raises ValueError for any other."""
    above, _, last = path.rpartition("/")
    if last != USERS or not above or not _PATH.fullmatch(path) or ".." in path or is_of_users(above):
        raise ValueError(f"write it as mount/{USERS}, such as secret/{USERS}: no secret of Tidegate's own is there")
    return path


@dataclass(frozen=True)
class NamedSecrets:
    """Kubernetes Secrets by namespace and name: all that a manifest can name, and nothing else of `store`.

    They are under `tree`, as `secret/namespaces/<namespace>/<name>`. Raises ValueError for a `tree` that could hold
    others.
    """

    store: Secrets
    tree: str = f"secret/{USERS}"

    def __post_init__(self) -> None:
        users_tree(self.tree)

    async def read(self, namespace: str, name: str, *, fresh: bool = False) -> Mapping[str, str]:
        """Content of a Secret, with `fresh` past any cache. Raises ApplicationError as `Secrets` does."""
        for part in (namespace, name):
            check_name(part, f"{namespace}/{name}")
        path = f"{self.tree}/{namespace}/{name}"
        return await (self.store.refresh(path) if fresh else self.store.read(path))


@dataclass(frozen=True)
class NoSecrets:
    """The store of a process without one; implements the port `Secrets`. `why` is the cause or the remedy."""

    why: str

    async def read(self, path: str) -> Mapping[str, str]:
        """Never succeeds: raises `Rejected`."""
        raise rejected(path, f"no secret store is set; {self.why}")

    refresh = read
