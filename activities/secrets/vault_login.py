"""Logins to Vault: by AppRole, a pod's service account or a token, and the lease of its token."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


@dataclass(frozen=True)
class Lease:
    """A token and for how many seconds it was lent; 0 for one that does not end, or whose end is not known."""

    token: str = field(repr=False)
    seconds: float = 0.0
    renewable: bool = False

    @classmethod
    def of(cls, answer: Any) -> Lease:
        """The lease in Vault's answer to a login or renewal. Raises TypeError, KeyError or ValueError for any other."""
        auth = answer["auth"]
        return cls(str(auth["client_token"]), float(auth.get("lease_duration") or 0), bool(auth.get("renewable")))


class _Login(BaseModel):
    model_config = ConfigDict(frozen=True)


class TokenLogin(_Login):
    """A token that another process renews, in a file (as Vault Agent writes it) or as a value."""

    method: Literal["token"] = "token"
    token: SecretStr = SecretStr("")
    token_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> TokenLogin:
        _require("token", self.token, self.token_file)
        return self

    def secrets(self) -> tuple[str, ...]:
        """Strings to mask; a file that cannot be read was not sent."""
        return _readable(self.token, self.token_file)

    def obtain(self, client: Any) -> Lease:
        """The token, as one that is not renewed here. Raises OSError for a file that cannot be read."""
        return Lease(_value(self.token, self.token_file))


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

    def secrets(self) -> tuple[str, ...]:
        """Strings to mask; a file that cannot be read was not sent."""
        return _readable(self.role_id, self.role_id_file) + _readable(self.secret_id, self.secret_id_file)

    def obtain(self, client: Any) -> Lease:
        """A token from the auth method at `mount`. Raises OSError, hvac's errors, and what `Lease.of` raises."""
        answer = client.auth.approle.login(
            role_id=_value(self.role_id, self.role_id_file),
            secret_id=_value(self.secret_id, self.secret_id_file),
            use_token=False,
            mount_point=self.mount,
        )
        return Lease.of(answer)


class KubernetesLogin(_Login):
    """The service account of the pod that this runs in."""

    method: Literal["kubernetes"] = "kubernetes"
    role: str
    jwt_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    mount: str = "kubernetes"

    def secrets(self) -> tuple[str, ...]:
        """Strings to mask; a file that cannot be read was not sent."""
        return _readable(SecretStr(""), self.jwt_file)

    def obtain(self, client: Any) -> Lease:
        """A token from the auth method at `mount`. Raises OSError, hvac's errors, and what `Lease.of` raises."""
        jwt = self.jwt_file.read_text().strip()
        answer = client.auth.kubernetes.login(role=self.role, jwt=jwt, use_token=False, mount_point=self.mount)
        return Lease.of(answer)


Login = Annotated[TokenLogin | AppRoleLogin | KubernetesLogin, Field(discriminator="method")]


def _readable(given: SecretStr, file: Path | None) -> tuple[str, ...]:
    try:
        return (_value(given, file),)
    except OSError:
        return ()


def _require(name: str, value: SecretStr, file: Path | None) -> None:
    if bool(value.get_secret_value()) == (file is not None):
        raise ValueError(f"give either {name} or {name}_file")


def _value(value: SecretStr, file: Path | None) -> str:
    return file.read_text().strip() if file else value.get_secret_value()
