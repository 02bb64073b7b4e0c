"""The token of a caller of the gateway: from a file that another process renews, or from GitHub for its own job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import aiohttp

from tidegate.client.errors import ConfigurationError, UnreachableError

FILE: Final = "TIDEGATE_TOKEN_FILE"
AUDIENCE: Final = "TIDEGATE_AUDIENCE"
DEFAULT_AUDIENCE: Final = "tidegate"
# Of a GitHub job that has the permission id-token: write
# (https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token).
_URL: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
_REQUEST_TOKEN: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105  the name of a variable
_TIMEOUT_SECONDS: Final = 15.0
# GitHub's last five minutes; a wait lasts hours.
_KEPT_SECONDS: Final = 120.0
_MAX_CHARACTERS: Final = 64 * 1024


def token_from(environment: Mapping[str, str]) -> Callable[[], Awaitable[str]]:
    """Gives a token that is valid now, as often as it is asked. Raises ConfigurationError where there is none."""
    if file := environment.get(FILE):
        return lambda: asyncio.to_thread(_read, Path(file))
    if environment.get(_URL) and environment.get(_REQUEST_TOKEN):
        return _GitHub(environment[_URL], environment[_REQUEST_TOKEN], environment.get(AUDIENCE) or DEFAULT_AUDIENCE)
    raise ConfigurationError(
        "there is no token for the gateway",
        f"set {FILE}; a GitHub job needs the permission `id-token: write`",
    )


def _read(file: Path) -> str:
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{FILE}={file}: {error}", "name a file with a token in it") from error
    if not token or len(token.split()) != 1:
        raise ConfigurationError(f"{FILE}={file}: it holds no token", "write one token into it, and nothing else")
    return token


class _GitHub:
    def __init__(self, url: str, request_token: str, audience: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {request_token}"}
        self._audience = audience
        self._token, self._until = "", 0.0

    async def __call__(self) -> str:
        if time.monotonic() >= self._until:
            self._token = await self._fetch()
            self._until = time.monotonic() + _KEPT_SECONDS
        return self._token

    async def _fetch(self) -> str:
        separator = "&" if "?" in self._url else "?"
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS), trust_env=True, raise_for_status=True
                ) as session,
                session.get(f"{self._url}{separator}audience={self._audience}", headers=self._headers) as answer,
            ):
                token = (await answer.json(content_type=None))["value"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            raise UnreachableError(
                f"GitHub gives the job no token: {type(error).__name__}", "see the permission `id-token: write`"
            ) from error
        if not isinstance(token, str) or not 0 < len(token) < _MAX_CHARACTERS:
            raise UnreachableError("GitHub gives the job no token", "see the permission `id-token: write`")
        return token
