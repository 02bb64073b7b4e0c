"""A server that sends back what it was sent, in every form: no secret comes through, by any system's door."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError

from activities.git.command import Author, Git, GitError, Login
from activities.metrics.datadog.provider import DatadogProvider
from activities.metrics.prometheus.provider import PrometheusProvider
from activities.metrics.secret_arguments import SecretArguments
from activities.metrics.web.provider import WebProvider
from activities.notifications.dispatch import Notifications
from activities.notifications.slack import Slack, SlackSettings
from activities.notifications.webhook import Webhook, WebhookSettings
from activities.secrets.store import NamedSecrets
from activities.secrets.vault import Vault, VaultSettings
from activities.secrets.vault_login import AppRoleLogin, TokenLogin
from activities.servicenow.incidents import ServiceNow
from activities.transport.http import TransportError, exchange
from activities.transport.masking import MASK, mask, mask_bytes
from tests.activities.notification import notification
from tests.activities.outside import MemorySecrets, Script, http_client, run_activity
from tidegate.analysis.reading import Reading, Verdict
from tidegate.analysis.status import Phase
from tidegate.contract import JOB_NAME, IncidentNote, MeasureRequest

SECRET = 'Pa"ss/w\u00f6rd+<&'  # every way of writing it down differs
AT = datetime(2026, 11, 1, tzinfo=UTC)


def forms(secret: str) -> set[str]:
    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    lower = re.sub("%..", lambda each: each[0].lower(), quote(secret, safe=""))
    percent = {quote(secret), quote(secret, safe=""), quote_plus(secret), lower}
    return {secret, json.dumps(secret)[1:-1], html.escape(secret), repr(secret)[1:-1]} | encoded | percent


def echoed(request: web.Request, body: bytes) -> str:
    """All that came, as it came and in other forms."""
    came = [f"{request.method} {request.raw_path}", *(f"{name}: {value}" for name, value in request.headers.items())]
    basic = request.headers.get("Authorization", "").removeprefix("Basic ")
    try:
        came.append(base64.b64decode(basic).decode())
    except ValueError:
        came.append(basic)
    text = "\n".join([*came, body.decode("utf-8", "replace")])
    return "\n".join([text, json.dumps(text), quote(text), html.escape(text)])


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[Script]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=400, text=echoed(request, await request.read()))

    async with Script() as script:
        script.then_do(answer)
        yield script


def shows(text: str, secret: str) -> list[str]:
    return [form for form in forms(secret) if form in text]


def chain(error: BaseException | None) -> str:
    """All that Temporal stores of a failure: its text and those of its causes."""
    texts = []
    while error is not None:
        texts.append(f"{error} {getattr(error, 'message', '')} {error.args}")
        error = error.__cause__
    return "\n".join(texts)


async def error_of(work: Awaitable[Any]) -> str:
    with pytest.raises(ApplicationError) as caught:
        await work
    return chain(caught.value)


async def readings(provider: Any, **web_or_prometheus: Any) -> str:
    [(key, settings)] = web_or_prometheus.items()
    metric = {"name": "m", "provider": {key: settings}, "successCondition": "result == 1"}
    references = {"token": {"name": "team", "key": "token"}}
    request = MeasureRequest(namespace="payments", run="r", metrics=(metric,), secret_args=references)
    [reading] = await run_activity(provider.measure, request)
    assert reading.error
    return str(reading.model_dump_json()) + repr(reading)


def team(secret: str = SECRET) -> NamedSecrets:
    return NamedSecrets(MemorySecrets({"secret/payments/team": {"token": secret}}))


@given(st.text("pPaA/+ \"'<&\u00f6\u20ac\\", min_size=6, max_size=30))
def test_no_form_of_a_secret_is_left(secret: str) -> None:
    for form in forms(secret):
        assert mask(f"0 {form} 1", [secret]) == f"0 {MASK} 1"


def test_a_short_secret_tears_no_structure() -> None:
    assert mask_bytes(b'{"result": "r"}', ["r"]) == b'{"result": "r"}'
    assert mask("error r", ["r"]) == f"e{MASK}{MASK}o{MASK} {MASK}"


def test_a_line_of_a_key_is_masked() -> None:
    key = "-----BEGIN KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\nqwertyuiopasdfgh\n-----END KEY-----"
    assert "MIIBOgIBAAJBAKj34GkxFhD9" not in mask("bad line MIIBOgIBAAJBAKj34GkxFhD9 in it", [key])


async def test_web(echo: Script) -> None:
    async with http_client() as http:
        settings = {
            "url": f"{echo.url}/x?key={{{{args.token}}}}",
            "headers": [{"key": "X-Key", "value": "k-{{args.token}}"}],
            "method": "POST",
            "body": '{"a": "{{args.token}}"}',
        }
        ascii_secret = 'Pa"ss/word+<&'
        text = await readings(WebProvider(team(ascii_secret), http), web=settings)
        assert not shows(text, ascii_secret)


@pytest.mark.parametrize("account", ["basicAuth", "oauth2"])
async def test_prometheus(echo: Script, account: str) -> None:
    given = {
        "basicAuth": {"username": "u", "password": "{{args.token}}"},
        "oauth2": {"tokenUrl": f"{echo.url}/token", "clientId": "c", "clientSecret": "{{args.token}}"},
    }
    async with http_client() as http:
        provider = PrometheusProvider(team(), http, environment={})
        settings = {"address": echo.url, "query": "up", "authentication": {account: given[account]}}
        assert not shows(await readings(provider, prometheus=settings), SECRET)


async def test_datadog(echo: Script) -> None:
    keys = {"apiKey": "api-key-of-a-test-1234", "appKey": "app-key-of-a-test-1234", "address": echo.url}
    async with http_client() as http:
        store = NamedSecrets(MemorySecrets({"secret/argo-rollouts/datadog": keys}))
        provider = DatadogProvider(store, http, environment={})
        metric = {"name": "m", "provider": {"datadog": {"apiVersion": "v2", "query": "avg:a{*}"}}}
        [reading] = await run_activity(provider.measure, MeasureRequest(namespace="n", run="r", metrics=(metric,)))
    for key in ("apiKey", "appKey"):
        assert not shows(repr(reading), keys[key])
    assert "400" in reading.error


async def test_slack_and_webhooks(echo: Script) -> None:
    for secret in ({"token": "xoxb-token-of-a-test"}, {"webhook_url": f"{echo.url}/services/T0/B0/key-of-a-test"}):
        async with http_client() as http:
            store = MemorySecrets({"secret/tidegate/slack": secret})
            backend = Slack(store, http, SlackSettings(api_url=echo.url))
            text = await error_of(run_activity(Notifications({"slack": backend}).send_notification, notification()))
        assert not shows(text, "xoxb-token-of-a-test")
        assert not shows(text, "services/T0/B0/key-of-a-test")
    async with http_client() as http:
        told = {"url": f"{echo.url}/hooks/key-of-a-test", "signing_key": "signing-key-of-a-test"}
        settings = WebhookSettings(secret_path="secret/tidegate/hook")
        hook = Webhook("hook", MemorySecrets({"secret/tidegate/hook": told}), http, settings)
        text = await error_of(
            run_activity(Notifications({"hook": hook}).send_notification, notification(service="hook"))
        )
    assert not shows(text, "hooks/key-of-a-test")
    assert not shows(text, "signing-key-of-a-test")


@pytest.mark.parametrize(
    "login",
    [{"username": "tidegate", "password": SECRET}, {"client_id": "tidegate", "client_secret": SECRET}],
)
async def test_servicenow(echo: Script, login: dict[str, str]) -> None:
    store = MemorySecrets({"secret/tidegate/servicenow": {"url": echo.url, **login}})
    asked = IncidentNote(correlation_id="c", event="e", text="t")
    async with http_client() as http:
        text = await error_of(run_activity(ServiceNow(store, http).note_incident, asked))
    assert not shows(text, SECRET)


@pytest.mark.parametrize("method", ["token", "approle"])
async def test_vault(echo: Script, method: str) -> None:
    async def refused(request: web.Request) -> web.Response:
        return web.json_response({"errors": [echoed(request, await request.read())]}, status=400)

    echo.answers[:] = []
    echo.then_do(refused)
    login = (
        TokenLogin(token=SecretStr("vault-token-of-a-test"))
        if method == "token"
        else AppRoleLogin(role_id=SecretStr("role-id-of-a-test"), secret_id=SecretStr("vault-token-of-a-test"))
    )
    vault = Vault(VaultSettings(address=echo.url, login=login))
    text = await error_of(vault.read("secret/payments/team"))
    await vault.close()
    assert not shows(text, "vault-token-of-a-test")
    assert "400" in text or "401" in text


async def test_vault_says_nothing_of_a_token_that_is_no_header(echo: Script) -> None:
    vault = Vault(VaultSettings(address=echo.url, login=TokenLogin(token=SecretStr("vault-token\nof-a-test"))))
    text = await error_of(vault.read("secret/payments/team"))
    await vault.close()
    assert "vault-token" not in text


async def test_git(tmp_path: Path) -> None:
    git = Git(tmp_path, Author("t", "t@example.com"), Login("u", SECRET), None, 20)
    with pytest.raises(GitError) as caught:
        await git.run("rev-parse", "--verify", *forms(SECRET))
    assert not shows(chain(caught.value) + repr(vars(caught.value)), SECRET)


async def test_the_error_of_a_transport_is_masked() -> None:
    async with http_client() as http, Script() as script:

        async def broken(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.write(b"HTTP/1.1 200 OK\r\nbad header key-of-a-test\r\n\r\n")
            request.transport.close()
            return web.Response()

        script.then_do(broken)
        with pytest.raises(TransportError) as caught:
            await exchange(http, "GET", script.url, timeout=5, confidential=["key-of-a-test"])
    assert "key-of-a-test" not in chain(caught.value)


def test_secrets_of_one_letter_are_masked_in_values_alone() -> None:
    reading = Reading(
        metric="error-rate",
        result={"started_at": "s", "n": 1, "list": ["s", 2]},
        value="started",
        error="",
        query="http://x/?key=s",
        notes=("was",),
        metadata={JOB_NAME: "rates-1", "note": "s"},
        verdict=Verdict(phase=Phase.SUCCESSFUL, message="s", reason="passes"),
        started_at=AT,
        finished_at=AT,
    )
    masked = SecretArguments({"key": "s"}).masked(reading)
    assert masked.metric == "error-rate"
    assert masked.result == {"started_at": MASK, "n": 1, "list": [MASK, 2]}
    assert (masked.value, masked.notes) == (f"{MASK}tarted", (f"wa{MASK}",))
    assert masked.metadata == {JOB_NAME: "rates-1", "note": MASK}
    assert masked.verdict is not None
    assert masked.verdict.phase is Phase.SUCCESSFUL
    assert masked.started_at == AT
    long = SecretArguments({"key": "secret"}).masked(reading.model_copy(update={"result": {"secret": 1}}))
    assert long.result == {MASK: 1}
