"""Fallbacks for a secret that Vault does not give: mounted Secret files, then the environment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

import structlog
from temporalio.exceptions import ApplicationError

from activities.secrets.store import Secrets, check_path, variable
from activities.transport.errors import failure, rejected
from tidegate.contract import ErrorType

log = structlog.get_logger(__name__)

# What a Kubernetes Secret holds at most.
MAX_SECRET_BYTES: Final = 1024 * 1024
_DATA: Final = "..data"  # the link by which a kubelet exchanges all files of a volume at once
_PASSED_ON: Final = (ErrorType.NOT_FOUND, ErrorType.UNAVAILABLE)


class SecretSource(NamedTuple):
    """One location of secrets, and what it is called in the log."""

    name: str
    secrets: Secrets


class FallbackSecrets:
    """Places that are asked in order; implements the port `Secrets`.

    The next is asked where one does not have a secret or does not answer, never where it refuses: a policy that keeps a
    secret from a worker is not to be got round. The log says once for each path from which location it comes.
    """

    def __init__(self, sources: Sequence[SecretSource]) -> None:
        """`sources` holds at least one location."""
        self._sources = tuple(sources)
        self._logged: set[tuple[str, str]] = set()

    async def read(self, path: str) -> Mapping[str, str]:
        """The secret from the first location that gives it. Raises ApplicationError as `Secrets` does."""
        return await self._first(path, "read")

    async def refresh(self, path: str) -> Mapping[str, str]:
        """The secret without a cache."""
        return await self._first(path, "refresh")

    async def _first(self, path: str, how: Literal["read", "refresh"]) -> Mapping[str, str]:
        missed: list[ApplicationError] = []
        for source in self._sources:
            try:
                secret = await (source.secrets.read(path) if how == "read" else source.secrets.refresh(path))
            except ApplicationError as error:
                if error.type not in _PASSED_ON:
                    raise
                missed.append(error)
            else:
                self._log_source(path, source.name, missed)
                return secret
        # A location that did not answer may have it: only then is there any use in asking again.
        raise next((error for error in missed if error.type == ErrorType.UNAVAILABLE), missed[0])

    def _log_source(self, path: str, source: str, missed: Sequence[ApplicationError]) -> None:
        if (path, source) in self._logged:
            return
        self._logged.add((path, source))
        write = log.warning if missed else log.info
        write("secret", path=path, source=source, not_from=[error.message for error in missed])


class FolderSecrets:
    """Secrets as files, `<folder>/<path>/<key>`, read anew each time; implements the port `Secrets`."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds mounted Secrets; what the links of one lead to has to be within that one."""
        self._folder = folder

    async def read(self, path: str) -> Mapping[str, str]:
        """The files below `path` by name. Raises ApplicationError: `NotFound` or `Rejected`."""
        check_path(str(self._folder), path)
        return await asyncio.to_thread(self._read, path)

    refresh = read

    def _read(self, path: str) -> dict[str, str]:
        try:
            root = self._folder.resolve()
            location = (root / path).resolve()
            # All files of one version, though the link be exchanged in between.
            version = (location / _DATA).resolve() if (location / _DATA).is_dir() else location
            if not version.is_relative_to(root / path):
                raise rejected(str(self._folder), f"{path}: it leads out of the folder")
            if not version.is_dir():
                raise _absent(str(self._folder), path)
            secret = {
                file.name: self._text(root / path, file, path)
                for file in sorted(version.iterdir())
                if not file.name.startswith(".") and file.is_file()
            }
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            raise rejected(str(self._folder), f"{path}: {getattr(error, 'strerror', None) or error}") from error
        if not secret:
            raise _absent(str(self._folder), path)
        return secret

    def _text(self, own: Path, file: Path, path: str) -> str:
        if not file.resolve().is_relative_to(own):
            raise rejected(str(self._folder), f"{path}/{file.name}: it leads out of the folder")
        with file.open("rb") as opened:
            content = opened.read(MAX_SECRET_BYTES + 1)
        if len(content) > MAX_SECRET_BYTES:
            raise rejected(str(self._folder), f"{path}/{file.name}: more than {MAX_SECRET_BYTES} bytes")
        try:
            return content.decode()
        except UnicodeDecodeError:
            # Not chained: this error quotes what it read.
            raise rejected(str(self._folder), f"{path}/{file.name}: this is not UTF-8") from None


class EnvironmentSecrets:
    """Secrets as variables: `secret/tidegate/git` with the key `token` is `SECRET__TIDEGATE__GIT__token`.

    Implements the port `Secrets`. Parts of the path are in upper case, with `_` for what is neither letter nor digit,
    and `__` between them; the key is as it is.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """`environment` holds the variables."""
        self._environment = environment

    async def read(self, path: str) -> Mapping[str, str]:
        """The variables of `path` that are not empty, by key. Raises ApplicationError: `NotFound` or `Rejected`."""
        check_path("environment", path)
        prefix = variable(path, "")
        secret = {
            name.removeprefix(prefix): value
            for name, value in self._environment.items()
            if name.startswith(prefix) and value and "__" not in name.removeprefix(prefix)
        }
        if not secret:
            raise _absent("environment", path)
        return secret

    refresh = read


def _absent(where: str, path: str) -> ApplicationError:
    return failure(where, 404, f"{path}: there is no such secret", {}, datetime.now(UTC))
