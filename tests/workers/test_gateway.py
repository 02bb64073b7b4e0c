"""What a pipeline's token opens: start and wait, for the Rollouts that a rule names, with the gates of the cluster."""

from __future__ import annotations

import json
import uuid
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from tests.workers.conftest import Terminal
from tests.workers.identity_provider import AUDIENCE, ISSUER, Provider, encoded, signed
from tests.workers.scripted_release import Answering, request
from tidegate.client import RolloutRef, TidegateClient
from tidegate.client.gateway import PATH
from tidegate.client.http_server import serve_http
from tidegate.contract import Activity, Observation, ObserveRequest, ReleaseRequest, cluster_queue
from workers.callers import Callers
from workers.gateway_api import MAX_BODY_BYTES, GatewayDoor
from workers.tokens import Keys, Verifier

pytestmark = pytest.mark.asyncio(loop_scope="module")

RULE: dict[str, Any] = {
    "claims": {"repository": "payments/checkout", "ref": "refs/heads/main"},
    "clusters": ["default"],
    "namespaces": ["payments"],
}
GATES = {
    "canary": {"steps": [{"setWeight": 20}, {"pause": {}}], "analysis": {"templates": [{"templateName": "errors"}]}}
}


def wanted(name: str, **changes: Any) -> ReleaseRequest:
    """A release of the Rollout that is in the cluster, of another image."""
    asked = request(name=name, **changes)
    return asked.model_copy(update={"rollout": rollout_of(name, asked.rollout["spec"]["template"])})


def rollout_of(name: str, template: Any, strategy: Any = None) -> dict[str, Any]:
    spec = {"replicas": 5, "strategy": GATES if strategy is None else strategy, "template": template}
    return {"kind": "Rollout", "metadata": {"name": name, "namespace": "payments"}, "spec": spec}


class Live:
    """The cluster's worker, which says what stands there."""

    def __init__(self) -> None:
        self.rollout: dict[str, Any] | None = None

    @activity.defn(name=Activity.OBSERVE)
    async def observe(self, asked: ObserveRequest) -> Observation:
        return Observation(at=activity.info().started_time, rollout=self.rollout)


class Pipeline:
    """Asks a gateway with a token."""

    def __init__(self, url: str, provider: Provider, rules: Path, live: Live, name: str) -> None:
        self.url = url
        self.provider = provider
        self.rules = rules
        self.live = live
        self.name = name

    def write(self, *rules: dict[str, Any]) -> None:
        self.rules.write_text(json.dumps({"callers": rules}))

    async def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        given = {"Authorization": f"Bearer {token or self.provider.token()}"} if headers is None else headers
        content = body.model_dump_json() if isinstance(body, ReleaseRequest) else body
        async with httpx.AsyncClient() as http:
            return await http.request(method, f"{self.url}{path}", content=content, headers=given, timeout=40)

    async def start(self, asked: ReleaseRequest | None = None, token: str | None = None) -> httpx.Response:
        return await self.ask("POST", PATH, asked or wanted(self.name), token)


@pytest_asyncio.fixture(loop_scope="module")
async def pipeline(
    temporal: Client, answering: Answering, client: TidegateClient, tmp_path: Path
) -> AsyncIterator[Pipeline]:
    provider, rules, live = Provider(), tmp_path / "callers.yaml", Live()
    name = f"checkout-{uuid.uuid4().hex[:8]}"
    live.rollout = rollout_of(name, {"spec": {"containers": [{"name": "checkout", "image": "checkout:0"}]}})
    door = GatewayDoor(
        client, Verifier(Keys(provider.fetch), ISSUER, AUDIENCE), Callers(rules), held_open=timedelta(seconds=3)
    )
    looking = Worker(temporal, task_queue=cluster_queue("default"), activities=[live.observe])
    async with answering(), looking, serve_http(door.app(), "127.0.0.1", 0) as port:
        found = Pipeline(f"http://127.0.0.1:{port}", provider, rules, live, name)
        found.write(RULE)
        yield found


async def first_input(temporal: Client, name: str) -> dict[str, Any]:
    """What a release was started with."""
    handle = temporal.get_workflow_handle(RolloutRef("payments", name).workflow_id)
    async for event in handle.fetch_history_events():
        [payload] = event.workflow_execution_started_event_attributes.input.payloads
        found: dict[str, Any] = json.loads(payload.data)
        return found
    raise AssertionError("it has no history")


async def test_a_release_is_started_and_followed_to_its_end(
    pipeline: Pipeline, client: TidegateClient, tidegate: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, manifest = tmp_path / "token", tmp_path / "rollout.json"
    token.write_text(pipeline.provider.token())
    container = {"name": "checkout", "image": "registry.internal/checkout:1"}
    template = {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [container]}}
    strategy = {"canary": {"steps": [{"setWeight": 20}]}}
    rollout = rollout_of(pipeline.name, template, strategy)
    rollout |= {"apiVersion": "argoproj.io/v1alpha1"}
    rollout["spec"]["selector"] = {"matchLabels": {"app": "checkout"}}
    manifest.write_text(json.dumps(rollout))
    pipeline.live.rollout = rollout
    monkeypatch.setenv("TIDEGATE_TOKEN_FILE", str(token))
    monkeypatch.setenv("TIDEGATE_SERVER", pipeline.url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")  # it has no way there
    start = ("start", "-f", str(manifest), "-n", "payments")
    assert await tidegate(*start) == 0, tidegate.read()
    assert f"workflow rollout/default/payments/{pipeline.name} run " in tidegate.out()
    assert await tidegate(*start, "--wait", "--timeout", "2s") == 4
    assert "still running after 0:00:02" in tidegate.read()[1]
    ref = RolloutRef("payments", pipeline.name)
    await client.pause(ref, by="bob")
    assert await tidegate(*start, "--wait") == 3
    assert "; next: tidegate promote " in tidegate.read()[1]
    await client.promote(ref, by="bob")
    assert await tidegate(*start, "--wait") == 0
    assert "Healthy: all steps done" in tidegate.out()


@pytest.mark.parametrize(("reason", "code"), [("too slow", 2), ("undo failed", 6)])
async def test_a_bad_end_is_told_as_temporal_tells_it(
    pipeline: Pipeline, client: TidegateClient, reason: str, code: int
) -> None:
    run = (await pipeline.start()).json()["run_id"]
    await client.abort(RolloutRef("payments", pipeline.name), by="bob", reason=reason)
    end = await pipeline.ask("GET", f"{PATH}/default/payments/{pipeline.name}/{run}/end")
    assert (end.status_code, end.json()["error"]) == (409, {2: "RolledBackError", 6: "CompensationError"}[code])
    assert end.json()["result"]["status"]["phase"] == "Degraded"


async def test_who_asks_is_said_by_the_token_and_not_by_the_caller(pipeline: Pipeline, temporal: Client) -> None:
    asked = wanted(pipeline.name, by="the head of payments", source={"repository": "payments/checkout"})
    assert (await pipeline.start(asked)).status_code == 200
    assert (await first_input(temporal, pipeline.name))["by"] == "alice by repo:payments/checkout:ref:refs/heads/main"


def forged(provider: Provider) -> Iterator[tuple[str, str]]:
    """Tokens that are none of the provider's for the gateway now, each with what is wrong."""
    own = Provider()
    yield "signature", own.token()
    yield "signature", own.token("ec")
    yield "key", own.token(header={"kid": "mine"})
    yield "kid", provider.token(header={"kid": None})
    yield "kid", provider.token(header={"kid": ["rsa"]})
    yield "algorithm", provider.by_public_key()
    yield "algorithm", provider.token(header={"alg": "none"})
    yield "algorithm", signed({"alg": "none", "kid": "rsa"}, {"iss": ISSUER, "aud": AUDIENCE}, lambda _: b"")
    yield "algorithm", provider.token("ec", header={"kid": "rsa"})
    yield "algorithm", provider.token(header={"alg": "RS512"})
    yield "extension", provider.token(header={"crit": ["b64"], "b64": False})
    yield "issuer", provider.token(iss="https://evil.example")
    yield "issuer", provider.token(iss=f"{ISSUER}/")
    yield "another audience", provider.token(aud="temporal")
    yield "another audience", provider.token(aud=None)
    yield "another audience", provider.token(aud=["temporal", "sts"])
    yield "ended", provider.token(exp=1_600_000_000)
    yield "ended", provider.token(exp=None)
    yield "ended", provider.token(exp="never")
    yield "ended", provider.token(exp=True)
    yield "not begun", provider.token(nbf=4_000_000_000)
    yield "not begun", provider.token(iat=4_000_000_000)
    yield "OpenID", "a.b"
    yield "OpenID", "a.b.c"
    yield "OpenID", f"{encoded([1])}.{encoded({})}.x"
    yield "OpenID", "a" * 8100
    header, claims, signature = provider.token().split(".")
    more = encoded({**json.loads(urlsafe_b64decode(claims + "==")), "repository": "a/b"})
    yield "signature", f"{header}.{more}.{signature}"
    yield "signature", f"{header}.{claims}."


async def test_a_token_that_is_not_the_providers_for_us_now_opens_nothing(
    pipeline: Pipeline, client: TidegateClient
) -> None:
    tried = 0
    for why, token in forged(pipeline.provider):
        answer = await pipeline.start(token=token)
        assert (answer.status_code, why in answer.json()["message"]) == (401, True), (why, answer.text)
        assert token not in answer.text
        tried += 1
    assert tried > 25
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        assert (await pipeline.ask("POST", PATH, wanted(pipeline.name), headers=headers)).status_code == 401
    assert await client.newest(RolloutRef("payments", pipeline.name)) is None
    assert (await pipeline.start(token=pipeline.provider.token("ec", aud=["x", AUDIENCE]))).status_code == 200


async def test_a_token_opens_what_a_rule_names_and_nothing_else(pipeline: Pipeline, client: TidegateClient) -> None:
    token, name = pipeline.provider.token, pipeline.name
    others = [
        (wanted(name), token(repository="fraud/scoring")),
        (wanted(name), token(ref="refs/heads/feature")),
        (wanted(name), token(ref=None)),
        (wanted(name), token(ref=["refs/heads/main"])),
        (wanted(name, namespace="fraud"), token()),
        (wanted(name, cluster="prod-eu"), token()),
    ]
    for asked, given in others:
        answer = await pipeline.start(asked, given)
        assert (answer.status_code, answer.json()["kind"]) == (403, "Unauthorized"), answer.text
    for odd in ("../fraud/scoring", "checkout/../../x", "Checkout", ""):
        body = json.dumps({**json.loads(wanted(name).model_dump_json()), "name": odd})
        assert (await pipeline.ask("POST", PATH, body)).status_code == 400, odd
    run = (await pipeline.start()).json()["run_id"]
    for path in (f"default/payments/{name}/{run}", f"default/payments/{name}/{run}/end"):
        assert (await pipeline.ask("GET", f"{PATH}/{path}", token=token(repository="a/b"))).status_code == 403
        assert (await pipeline.ask("GET", f"{PATH}/{path.replace('payments', 'fraud')}")).status_code == 403
    assert (await pipeline.ask("GET", f"{PATH}/default/payments/{name}/..%2f..%2fx")).status_code == 400
    pipeline.write(RULE | {"rollouts": ["another"]})
    assert (await pipeline.start()).status_code == 403, "the file is read again"


async def test_there_is_no_other_door(pipeline: Pipeline, client: TidegateClient) -> None:
    run = (await pipeline.start()).json()["run_id"]
    one = f"{PATH}/default/payments/{pipeline.name}/{run}"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in (one, f"{one}/end", f"{one}/promote", f"{one}/abort", f"{one}/pause", f"{one}/terminate"):
            answer = await pipeline.ask(method, path, b"{}")
            assert answer.status_code in (404, 405), (method, path)
    for path in (PATH, "/", "/v1", f"{one}/promote", "/v1/analysisruns", "/healthz"):
        assert (await pipeline.ask("GET", path)).status_code in (404, 405)
    status = await client.status(RolloutRef("payments", pipeline.name))
    assert [event.reason for event in status.events] == ["release"]


async def test_what_only_a_person_says_is_refused(pipeline: Pipeline, client: TidegateClient) -> None:
    asked = wanted(pipeline.name)
    for changed in (
        asked.model_copy(update={"full": True}),
        asked.model_copy(update={"aborted": True}),
        asked.model_copy(update={"rollout": asked.rollout | {"status": {"promoteFull": True}}}),
        asked.model_copy(update={"rollout": rollout_of("another", {})}),
        asked.model_copy(update={"rollout": asked.rollout | {"metadata": {"namespace": "fraud"}}}),
    ):
        answer = await pipeline.start(changed)
        assert answer.status_code == 403, answer.text
    assert await client.newest(RolloutRef("payments", pipeline.name)) is None


async def test_gates_are_those_of_the_cluster(pipeline: Pipeline, temporal: Client) -> None:
    asked = wanted(pipeline.name)
    name, template = pipeline.name, asked.rollout["spec"]["template"]
    lenient = {"canary": {"steps": [{"setWeight": 20}]}}
    noted = asked.rollout | {"metadata": {**asked.rollout["metadata"], "annotations": {"tidegate.io/bake": "0s"}}}
    for field, rollout in (
        ("spec.strategy", rollout_of(name, template, lenient)),
        ("spec.strategy", rollout_of(name, template, {})),
        ("spec.selector", asked.rollout | {"spec": {**asked.rollout["spec"], "selector": {}}}),
        ("spec.paused", asked.rollout | {"spec": {**asked.rollout["spec"], "paused": True}}),
        ("the annotation tidegate.io/bake", noted),
    ):
        answer = await pipeline.start(asked.model_copy(update={"rollout": rollout}))
        assert (answer.status_code, answer.json()["kind"]) == (409, "Rejected")
        assert answer.json()["message"].startswith(f"{field} of payments/{name} is not what it is in the cluster")
    yes = {"kind": "AnalysisTemplate", "metadata": {"name": "errors"}, "spec": {"metrics": []}}
    assert (await pipeline.start(asked.model_copy(update={"templates": (yes,)}))).status_code == 200
    assert (await first_input(temporal, name))["templates"] == []


async def test_a_rule_may_let_a_pipeline_bring_its_own_gates(pipeline: Pipeline) -> None:
    pipeline.live.rollout = None
    answer = await pipeline.start()
    assert (answer.status_code, "is not in the cluster" in answer.text) == (403, True)
    pipeline.write(RULE, RULE | {"any_manifest": True})
    assert (await pipeline.start()).status_code == 200


async def test_what_is_too_large_or_no_request_is_refused(pipeline: Pipeline) -> None:
    assert (await pipeline.ask("POST", PATH, b"x" * (MAX_BODY_BYTES + 1))).status_code == 413
    for body in (b"", b"nonsense", b"[]", b'{"namespace": "payments"}', b'{"a":' * 2000):
        answer = await pipeline.ask("POST", PATH, body)
        assert answer.status_code == 400, answer.text


async def test_rules_that_cannot_be_read_let_nobody_in(pipeline: Pipeline) -> None:
    for text in ("callers: [{}]", "callers: {", "callers: [{claims: {}, clusters: [a], namespaces: [b]}]", "\xff"):
        pipeline.rules.write_text(text)
        answer = await pipeline.start()
        assert (answer.status_code, answer.json()["error"]) == (503, "UnreachableError")
        assert str(pipeline.rules) not in answer.text
    pipeline.rules.unlink()
    assert (await pipeline.start()).status_code == 503


async def test_keys_rotate_and_outlive_the_absence_of_their_provider() -> None:
    now, provider = [1000.0], Provider()
    verifier = Verifier(Keys(provider.fetch, clock=lambda: now[0]), ISSUER, AUDIENCE)
    await verifier.claims(provider.token())
    provider.add("new", rsa.generate_private_key(65537, 2048))
    with pytest.raises(Exception, match="does not publish"):
        await verifier.claims(provider.token("new"))
    assert provider.fetches == 1, "a stranger's kid does not make us ask each time"
    now[0] += 31
    assert (await verifier.claims(provider.token("new")))["actor"] == "alice"
    provider.away = True
    now[0] += 4000
    assert (await verifier.claims(provider.token()))["actor"] == "alice"
    provider.away = False
    del provider.published["rsa"]
    now[0] += 31
    with pytest.raises(Exception, match="does not publish"):
        await verifier.claims(provider.token())


async def test_keys_that_no_token_should_be_signed_with_are_passed_over() -> None:
    provider = Provider()
    provider.add("short", rsa.generate_private_key(65537, 1024))  # noqa: S505
    provider.add("curve", ec.generate_private_key(ec.SECP256R1()))
    provider.published["curve"]["crv"] = "P-521"
    provider.published["odd"] = {"kty": "oct", "k": "c2VjcmV0"}
    provider.published["encrypting"] = provider.published["rsa"] | {"use": "enc"}
    verifier = Verifier(Keys(provider.fetch), ISSUER, AUDIENCE)
    for key_id in ("short", "curve"):
        with pytest.raises(Exception, match="does not publish"):
            await verifier.claims(provider.token(key_id))
    for key_id in ("odd", "encrypting"):
        with pytest.raises(Exception, match="does not publish"):
            await verifier.claims(provider.token(header={"kid": key_id}))
    assert (await verifier.claims(provider.token()))["actor"] == "alice"


async def test_without_keys_nobody_is_let_in(pipeline: Pipeline) -> None:
    pipeline.provider.away = True
    answer = await pipeline.start()
    assert (answer.status_code, answer.json()["error"]) == (503, "UnreachableError")


async def test_the_end_is_waited_for_in_pieces(pipeline: Pipeline) -> None:
    run = (await pipeline.start()).json()["run_id"]
    answer = await pipeline.ask("GET", f"{PATH}/default/payments/{pipeline.name}/{run}/end")
    assert (answer.status_code, answer.content) == (202, b"")
