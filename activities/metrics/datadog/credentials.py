"""Where the keys for Datadog come from: the order in which Argo Rollouts looks, on paths of the secret store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError

from activities.secrets.store import NamedSecrets, check_name
from tidegate.contract import ErrorType
from tidegate.manifests.providers.datadog import SecretRef

NOT_FOUND = "failed to find the credentials for datadog metrics provider"
DEFAULT_SECRET = "datadog"  # noqa: S105  the name of a secret, not one


class CredentialsError(Exception):
    """No usable credentials; the text is fit for a measurement and holds no secret."""


@dataclass(frozen=True)
class Credentials:
    """Address of a Datadog site, such as `https://api.datadoghq.eu`, and a pair of keys for it."""

    address: str
    api_key: str = field(repr=False)
    app_key: str = field(repr=False)


@dataclass(frozen=True)
class CredentialsFinder:
    """Finds the credentials that a metric names.

    A `secretRef` names a Secret, in the run's namespace if `namespaced`, else one of Tidegate's own, which stand in the
    place of those in the controller's namespace: below `own`, where there is nothing but credentials for Datadog.
    Without one it is the environment (DD_API_KEY, DD_APP_KEY and DD_ADDRESS, all three set), then `datadog` below
    `own`. `address` is used where the credentials name none.
    """

    secrets: NamedSecrets
    own: str
    address: str
    environment: Mapping[str, str]

    async def find(self, ref: SecretRef | None, namespace: str, *, fresh: bool = False) -> Credentials:
        """The credentials; with `fresh` as they stand in the store now. Raises CredentialsError."""
        named = ref.name if ref else ""
        if ref is not None and ref.namespaced and not ref.name:
            raise CredentialsError("secret name is required for namespaced credentials")
        if not named and (found := self._from_environment()):
            return found
        try:
            if ref is not None and ref.namespaced:
                secret = await self.secrets.read(namespace, named, fresh=fresh)
            else:
                secret = await self._read_own(named or DEFAULT_SECRET, fresh=fresh)
        except ApplicationError as error:
            raise CredentialsError(NOT_FOUND if error.type == ErrorType.NOT_FOUND else error.message) from error
        return self._from_secret(secret)

    async def _read_own(self, name: str, *, fresh: bool) -> Mapping[str, str]:
        check_name(name, name)
        path, store = f"{self.own}/{name}", self.secrets.store
        return await (store.refresh(path) if fresh else store.read(path))

    def _from_environment(self) -> Credentials | None:
        variables = [self.environment.get(name) for name in ("DD_ADDRESS", "DD_API_KEY", "DD_APP_KEY")]
        address, api_key, app_key = variables
        if address is None or not api_key or not app_key:
            return None
        return Credentials(self._normal(address), api_key, app_key)

    def _from_secret(self, secret: Mapping[str, str]) -> Credentials:
        # Argo's code reads the spelling with a dash, VaultStaticSecrets in use write the other one.
        api_key = (secret.get("api-key") or secret.get("apiKey") or "").strip()
        app_key = (secret.get("app-key") or secret.get("appKey") or "").strip()
        if not api_key or not app_key:
            raise CredentialsError(NOT_FOUND)
        return Credentials(self._normal(secret.get("address", "")), api_key, app_key)

    def _normal(self, address: str) -> str:
        return (address.strip() or self.address).rstrip("/")
