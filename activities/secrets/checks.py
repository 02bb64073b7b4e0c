"""Checks of the systems that follow a decision, which one kind of worker reaches: secrets, tickets, Git, messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from temporalio import activity

from activities.secrets.store import Secrets
from activities.transport.checks import DEFAULT, absent, check
from tidegate.contract import Activity, Check, Checks, CheckSystems, ErrorType

Probe = Callable[[CheckSystems], Awaitable[str]]
POLICIES: Final = "deploy/vault/apply.sh"  # policies, and who may log in
UNSEAL: Final = "vault status; then vault operator unseal, or set TIDEGATE_VAULT__ADDRESS"


@dataclass(frozen=True)
class System:
    """A system by its name: the variable that sets it up, the path of its secret, and a read of it.

    `probe` is None where nothing is set up, and where nothing but the secret can be read.
    """

    name: str
    setting: str
    secret_path: str = ""
    probe: Probe | None = None
    keys: str = "token=..."


class SystemChecks:
    """The activity that checks every system that is set up."""

    def __init__(self, secrets: Secrets, systems: Sequence[System]) -> None:
        self._secrets = secrets
        self._systems = systems

    @activity.defn(name=Activity.CHECK_FOLLOW_UP)
    async def check(self, request: CheckSystems) -> Checks:
        """Read each secret, then one thing of the system that it is for. It writes nothing."""
        return Checks(checks=tuple([line for each in self._systems for line in await self._lines(each, request)]))

    async def _lines(self, system: System, request: CheckSystems) -> list[Check]:
        if not system.secret_path:
            return [absent(system.name, system.setting)]
        secret = await check(f"secret of {system.name}", lambda: self._read(system), _of_secret(system))
        probe = system.probe
        if secret.remedy or probe is None:
            return [secret]
        return [secret, await check(system.name, lambda: probe(request), _of_system(system))]

    async def _read(self, system: System) -> str:
        await self._secrets.refresh(system.secret_path)
        return f"{system.secret_path} is readable"


def _of_secret(system: System) -> Mapping[str, str]:
    """Remedies of a secret that cannot be read."""
    path = system.secret_path
    return {
        ErrorType.NOT_FOUND: f"vault kv put {path} {system.keys}",
        ErrorType.UNAUTHORIZED: POLICIES,
        DEFAULT: UNSEAL,
    }


def _of_system(system: System) -> Mapping[str, str]:
    """Remedies of a system that does not answer as it should."""
    return {
        ErrorType.UNAUTHORIZED: f"vault kv put {system.secret_path} {system.keys}",
        ErrorType.REJECTED: f"vault kv put {system.secret_path} {system.keys}",
        DEFAULT: f"set {system.setting} to where {system.name} answers this worker, and restart it",
    }
