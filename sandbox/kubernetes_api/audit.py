"""The audit log: each kind of request that a client made, once, as lines of JSON that several servers may write to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

VARIABLE = "SANDBOX_KUBERNETES_AUDIT_LOG"


class Call(NamedTuple):
    """One kind of request, in RBAC's words."""

    verb: str
    group: str
    resource: str
    subresource: str


class AuditLog:
    """Appends to a file what was not seen before; without a file it writes nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: set[tuple[str, Call, bool]] = set()

    @classmethod
    def from_environment(cls) -> AuditLog:
        """The one of a whole run of tests, in the file that a variable names."""
        named = os.environ.get(VARIABLE)
        return cls(Path(named) if named else None)

    def write(self, user_agent: str, call: Call, namespace: str) -> None:
        """Note a request of a client, in one namespace or in all."""
        client = user_agent.partition("/")[0]
        entry = (client, call, bool(namespace))
        if self._file is None or entry in self._seen:
            return
        self._seen.add(entry)
        line = json.dumps({"client": client, **call._asdict(), "namespaced": bool(namespace)})
        with self._file.open("a") as file:
            file.write(line + "\n")
