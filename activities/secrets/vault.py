"""Secrets from Vault: logged in by AppRole, Kubernetes or token, read at the moment of use, kept in memory only."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import hvac
import requests
import structlog
from hvac import exceptions
from pydantic import BaseModel, ConfigDict, Field
from temporalio.exceptions import ApplicationError

from activities.secrets.store import check_path
from activities.secrets.vault_login import Lease, Login
from activities.transport.errors import failure, rejected, unavailable
from activities.transport.masking import mask
from tidegate.contract import ErrorType

log = structlog.get_logger(__name__)

SYSTEM = "Vault"
# Of a token's lease: what is used up when it is renewed, and the least that a renewal has to give; a token that is
# near the end of the life that its role allows is lent for less and less.
_RENEW_FROM = 2 / 3
_TOO_LITTLE = 1 / 3
# A secret of which the store cannot be asked now is used on for so long before the store is asked again.
_AGAIN_SECONDS = 10.0
_LONGEST_DETAIL = 500
_AWAY = (ErrorType.UNAVAILABLE, ErrorType.RATE_LIMITED)
_STATUS: dict[type[exceptions.VaultError], int] = {
    exceptions.InvalidRequest: 400,
    exceptions.Unauthorized: 401,
    exceptions.Forbidden: 403,
    exceptions.InvalidPath: 404,
    exceptions.RateLimitExceeded: 429,
}


class VaultSettings(BaseModel):
    """Access to Vault."""

    model_config = ConfigDict(frozen=True)

    address: str
    login: Login
    namespace: str = ""  # of Vault Enterprise
    ca_file: Path | None = None  # PEM bundle for a private authority
    timeout_seconds: float = Field(default=5.0, gt=0)  # of one request
    cache_seconds: float = Field(default=300.0, ge=0)  # time for which a secret is used before it is read again
    used_while_away: bool = True  # a secret is used for longer than that while Vault is away


@dataclass(frozen=True)
class _Cached:
    secret: Mapping[str, str]
    until: float


class Vault:
    """The secrets that activities use; implements the port `Secrets`.

    Callers that want the same path at the same time share one reading. A credential that its consumer refuses is read
    again with `refresh`, so a rotated key is picked up at once and not when the cache expires. While Vault is away,
    what was read before is used on.
    """

    def __init__(self, settings: VaultSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that only grow."""
        self._settings = settings
        self._clock = clock
        self._store = _Store(settings, clock)
        self._cache: dict[str, _Cached] = {}
        self._reads: dict[str, asyncio.Task[Mapping[str, str]]] = {}

    async def read(self, path: str) -> Mapping[str, str]:
        """The secret at `path`, mount first: `secret/argo-rollouts/datadog`; possibly from memory.

        Raises ApplicationError: `NotFound`, `Unauthorized`, `RateLimited`, `Rejected` or `Unavailable`.
        """
        cached = self._cache.get(path)
        if cached and self._clock() < cached.until:
            return cached.secret
        return await self.refresh(path)

    async def refresh(self, path: str) -> Mapping[str, str]:
        """The secret at `path` without the cache, or the last one read while Vault is away. Raises as `read`.

        So a consumer with a rejected credential gets the same one again, and reports the rejection.
        """
        reading = self._reads.get(path)
        if reading is None:
            reading = self._reads[path] = asyncio.create_task(self._read_path(path))
            reading.add_done_callback(partial(self._on_read, path))
        # One caller that is cancelled must not take the answer away from the others.
        return await asyncio.shield(reading)

    async def close(self) -> None:
        """Forget every secret and close the connections."""
        self._cache.clear()
        await asyncio.to_thread(self._store.close)

    async def _read_path(self, path: str) -> Mapping[str, str]:
        secret: Mapping[str, str]
        try:
            secret = await asyncio.to_thread(self._store.read, path)
        except ApplicationError as error:
            known = self._cache.get(path) if self._settings.used_while_away else None
            if known is None or error.type not in _AWAY:
                raise
            log.warning("a secret is used on as it was last read", path=path, error=error.message)
            secret, seconds = known.secret, min(_AGAIN_SECONDS, self._settings.cache_seconds)
        else:
            seconds = self._settings.cache_seconds
        self._cache[path] = _Cached(secret, self._clock() + seconds)
        return secret

    def _on_read(self, path: str, reading: asyncio.Task[Mapping[str, str]]) -> None:
        del self._reads[path]
        if not reading.cancelled():
            reading.exception()  # retrieved, in case that every caller was cancelled


class _Store:
    """The same without asyncio, for threads: hvac is synchronous, and a session of requests serves one at a time."""

    def __init__(self, settings: VaultSettings, clock: Callable[[], float]) -> None:
        self._login = settings.login
        self._clock = clock
        self._lease = Lease("")
        self._used_from = 0.0
        self._full_lease_seconds = 0.0
        self._lock = threading.Lock()
        self._client = hvac.Client(
            url=settings.address,
            token="",  # never the environment's or the one in a home directory
            namespace=settings.namespace or None,
            verify=str(settings.ca_file) if settings.ca_file else True,
            timeout=settings.timeout_seconds,
            allow_redirects=False,  # a redirect would carry the token to another host
        )

    def close(self) -> None:
        with self._lock:
            self._client.adapter.close()

    def read(self, path: str) -> dict[str, str]:
        with self._lock:
            fresh = not self._client.token
            if fresh:
                self._log_in()
            elif self._is_nearly_used_up():
                self._prolong()
            try:
                return self._read(path)
            except ApplicationError as error:
                # Expired and revoked tokens look like a policy that forbids.
                if fresh or error.type != ErrorType.UNAUTHORIZED:
                    raise
            self._log_in()
            return self._read(path)

    def _is_nearly_used_up(self) -> bool:
        lent = self._lease.seconds
        return lent > 0 and self._clock() - self._used_from > lent * _RENEW_FROM

    def _prolong(self) -> None:
        """Renew the token, or log in again; a token that Vault does neither for is used until Vault refuses it.

        Raises ApplicationError of type `Unavailable` or `RateLimited`: the reading would wait in vain, too.
        """
        if self._renew():
            return
        used = self._client.token
        try:
            self._log_in()
        except ApplicationError as error:
            self._client.token = used
            if error.type in _AWAY:
                raise
            log.warning("the vault token ends soon, and there is no other", error=error.message)

    def _renew(self) -> bool:
        if not self._lease.renewable:
            return False
        requested_at = self._clock()
        try:
            lease = Lease.of(self._client.auth.token.renew_self())
        except requests.RequestException as error:
            raise unavailable(SYSTEM, f"renewal of the token: {type(error).__name__}") from None
        except (exceptions.VaultError, TypeError, KeyError, ValueError) as error:
            log.info("vault token not renewed", error=type(error).__name__)
            return False
        if 0 < lease.seconds < self._full_lease_seconds * _TOO_LITTLE:
            return False
        self._use(lease, requested_at)
        log.info("vault token renewed", seconds=lease.seconds)
        return True

    def _use(self, lease: Lease, lent_at: float) -> None:
        self._lease, self._used_from = lease, lent_at
        self._client.token = lease.token

    def _log_in(self) -> None:
        method = self._login.method
        self._client.token = ""
        requested_at = self._clock()
        try:
            lease = self._login.obtain(self._client)
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise unavailable(SYSTEM, f"login by {method}: {type(error).__name__}") from None
            raise rejected(SYSTEM, f"login by {method}: {error.filename}: {error.strerror}") from error
        except exceptions.VaultError as error:
            status = _STATUS.get(type(error), 503)
            # Vault answers 400 to a wrong role id, secret id or JWT.
            failed = _failure(401 if status == 400 else status, f"login by {method}", error, self._login.secrets())
            raise failed from None
        except (TypeError, KeyError, ValueError) as error:
            raise unavailable(SYSTEM, f"login by {method}: the answer is not Vault's") from error
        self._full_lease_seconds = lease.seconds
        self._use(lease, requested_at)
        log.info("vault login", method=method)

    def _read(self, path: str) -> dict[str, str]:
        check_path(SYSTEM, path)
        try:
            secret = self._read_mounted(path)
        except requests.RequestException as error:
            # requests quotes the header that it finds fault with, which is the token.
            raise unavailable(SYSTEM, f"{path}: {type(error).__name__}") from None
        except exceptions.VaultError as error:
            raise _failure(_STATUS.get(type(error), 503), path, error, (self._client.token,)) from None
        except (TypeError, KeyError, ValueError) as error:
            raise unavailable(SYSTEM, f"{path}: the answer is not Vault's") from error
        return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in secret.items()}

    def _read_mounted(self, path: str) -> Mapping[str, Any]:
        """Read with the version of the KV engine that is mounted there (what the vault command asks first, too)."""
        mounted = self._client.adapter.get(f"/v1/sys/internal/ui/mounts/{path}")["data"]
        mount = str(mounted["path"]).strip("/")
        below = path.removeprefix(mount).strip("/")
        key_value = self._client.secrets.kv
        if (mounted.get("options") or {}).get("version") == "2":
            answer = key_value.v2.read_secret_version(path=below, mount_point=mount, raise_on_deleted_version=True)
            return dict(answer["data"]["data"])
        return dict(key_value.v1.read_secret(path=below, mount_point=mount)["data"])


def _failure(status: int, what: str, error: exceptions.VaultError, secrets: Iterable[str]) -> ApplicationError:
    """The failure in the words of Vault or of a proxy before it, which may repeat the request."""
    text = mask(", ".join(map(str, error.errors or ())), secrets)[:_LONGEST_DETAIL]
    return failure(SYSTEM, status, f"{what}: {text or type(error).__name__}", {}, datetime.now(UTC))
