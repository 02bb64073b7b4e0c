"""Secrets from Vault: logged in by AppRole, Kubernetes or token, read at the moment of use, kept in memory only."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import hvac
import requests
import structlog
from hvac import exceptions
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from temporalio.exceptions import ApplicationError

from activities.errors import failure, rejected, unavailable

log = structlog.get_logger(__name__)

SYSTEM = "Vault"
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")
_STATUS: dict[type[exceptions.VaultError], int] = {
    exceptions.InvalidRequest: 400,
    exceptions.Unauthorized: 401,
    exceptions.Forbidden: 403,
    exceptions.InvalidPath: 404,
    exceptions.RateLimitExceeded: 429,
}


class _Login(BaseModel):
    model_config = ConfigDict(frozen=True)


class TokenLogin(_Login):
    """A token that somebody else renews, in a file (as Vault Agent writes it) or as a value."""

    method: Literal["token"] = "token"
    token: SecretStr = SecretStr("")
    token_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> TokenLogin:
        _require("token", self.token, self.token_file)
        return self

    def obtain(self, client: Any) -> str:
        """The token. Raises OSError for a file that cannot be read."""
        return _value(self.token, self.token_file)


class AppRoleLogin(_Login):
    """An AppRole: role id and secret id, each in a file or as a value."""

    method: Literal["approle"] = "approle"
    role_id: SecretStr = SecretStr("")
    role_id_file: Path | None = None
    secret_id: SecretStr = SecretStr("")
    secret_id_file: Path | None = None
    mount: str = "approle"

    @model_validator(mode="after")
    def _complete(self) -> AppRoleLogin:
        _require("role_id", self.role_id, self.role_id_file)
        _require("secret_id", self.secret_id, self.secret_id_file)
        return self

    def obtain(self, client: Any) -> str:
        """A token from the auth method at `mount`. Raises OSError and hvac's errors."""
        answer = client.auth.approle.login(
            role_id=_value(self.role_id, self.role_id_file),
            secret_id=_value(self.secret_id, self.secret_id_file),
            use_token=False,
            mount_point=self.mount,
        )
        return str(answer["auth"]["client_token"])


class KubernetesLogin(_Login):
    """The service account of the pod that this runs in."""

    method: Literal["kubernetes"] = "kubernetes"
    role: str
    jwt_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    mount: str = "kubernetes"

    def obtain(self, client: Any) -> str:
        """A token from the auth method at `mount`. Raises OSError and hvac's errors."""
        jwt = self.jwt_file.read_text().strip()
        answer = client.auth.kubernetes.login(role=self.role, jwt=jwt, use_token=False, mount_point=self.mount)
        return str(answer["auth"]["client_token"])


Login = Annotated[TokenLogin | AppRoleLogin | KubernetesLogin, Field(discriminator="method")]


class VaultSettings(BaseModel):
    """Where Vault is and who asks.

    `namespace` is Vault Enterprise's, `ca_file` a PEM bundle for a private authority. `timeout_seconds` limits one
    request, `cache_seconds` is how long a secret is used before it is read again.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    login: Login
    namespace: str = ""
    ca_file: Path | None = None
    timeout_seconds: float = Field(default=5.0, gt=0)
    cache_seconds: float = Field(default=300.0, ge=0)


@dataclass(frozen=True)
class _Cached:
    secret: Mapping[str, str]
    until: float


class Vault:
    """The secrets that activities use; implements the port `Secrets`.

    Callers that want the same path at the same time share one lookup. A credential that its consumer refuses is read
    again with `refresh`, so a rotated key is picked up at once and not when the cache expires.
    """

    def __init__(self, settings: VaultSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that only grow."""
        self._settings = settings
        self._clock = clock
        self._store = _Store(settings)
        self._cache: dict[str, _Cached] = {}
        self._lookups: dict[str, asyncio.Task[Mapping[str, str]]] = {}

    async def read(self, path: str) -> Mapping[str, str]:
        """The secret at `path`, mount first: `secret/argo-rollouts/datadog`; possibly from memory.

        Raises ApplicationError: `NotFound`, `Unauthorized`, `RateLimited`, `Rejected` or `Unavailable`.
        """
        cached = self._cache.get(path)
        if cached and self._clock() < cached.until:
            return cached.secret
        return await self.refresh(path)

    async def refresh(self, path: str) -> Mapping[str, str]:
        """The secret at `path` as it stands now; raises what `read` raises."""
        lookup = self._lookups.get(path)
        if lookup is None:
            lookup = self._lookups[path] = asyncio.create_task(self._look_up(path))
            lookup.add_done_callback(partial(self._looked_up, path))
        # One caller that is cancelled must not take the answer away from the others.
        return await asyncio.shield(lookup)

    async def close(self) -> None:
        """Forget every secret and close the connections."""
        self._cache.clear()
        await asyncio.to_thread(self._store.close)

    async def _look_up(self, path: str) -> Mapping[str, str]:
        secret = await asyncio.to_thread(self._store.read, path)
        self._cache[path] = _Cached(secret, self._clock() + self._settings.cache_seconds)
        return secret

    def _looked_up(self, path: str, lookup: asyncio.Task[Mapping[str, str]]) -> None:
        del self._lookups[path]
        if not lookup.cancelled():
            lookup.exception()  # retrieved, in case that every caller was cancelled


class _Store:
    """The same without asyncio, for threads: hvac is synchronous, and a session of requests serves one at a time."""

    def __init__(self, settings: VaultSettings) -> None:
        self._login = settings.login
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
            try:
                return self._read(path)
            except ApplicationError as error:
                # Expired and revoked tokens look like a policy that forbids.
                if fresh or not isinstance(error.__cause__, exceptions.Forbidden):
                    raise
            self._log_in()
            return self._read(path)

    def _log_in(self) -> None:
        method = self._login.method
        self._client.token = ""
        try:
            self._client.token = self._login.obtain(self._client)
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise unavailable(SYSTEM, f"login by {method}: {type(error).__name__}") from error
            raise rejected(SYSTEM, f"login by {method}: {error.filename}: {error.strerror}") from error
        except exceptions.VaultError as error:
            status = _STATUS.get(type(error), 503)
            # Vault answers 400 to a wrong role id, secret id or JWT.
            raise _failure(401 if status == 400 else status, f"login by {method}", error) from error
        except (TypeError, KeyError, ValueError) as error:
            raise unavailable(SYSTEM, f"login by {method}: the answer is not Vault's") from error
        log.info("vault login", method=method)

    def _read(self, path: str) -> dict[str, str]:
        # Part of a path may come from a manifest: nothing in it may lead out of the place where it was put.
        if not _PATH.fullmatch(path) or ".." in path:
            raise rejected(
                SYSTEM,
                f"path {path!r}: write it as mount/path, such as secret/argo-rollouts/datadog, "
                "of letters, digits, '.', '_' and '-'",
            )
        try:
            secret = self._read_mounted(path)
        except requests.RequestException as error:
            raise unavailable(SYSTEM, f"{path}: {type(error).__name__}") from error
        except exceptions.VaultError as error:
            raise _failure(_STATUS.get(type(error), 503), path, error) from error
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


def _failure(status: int, what: str, error: exceptions.VaultError) -> ApplicationError:
    detail = f"{what}: {', '.join(map(str, error.errors or ())) or type(error).__name__}"
    return failure(SYSTEM, status, detail, {}, datetime.now(UTC))


def _require(name: str, value: SecretStr, file: Path | None) -> None:
    if bool(value.get_secret_value()) == (file is not None):
        raise ValueError(f"give either {name} or {name}_file")


def _value(value: SecretStr, file: Path | None) -> str:
    return file.read_text().strip() if file else value.get_secret_value()
