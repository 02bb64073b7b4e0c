"""`tidegate-gateway` as a process, and a GitHub job that asks it with the token that GitHub gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web

from sandbox.processes import free_port
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import TidegateProcess
from tests.activities.outside import Script
from tests.workers.identity_provider import ISSUER, Provider
from tidegate.client import ConfigurationError, RefusedError, RolloutRef
from tidegate.client.gateway import GatewayClient, open_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_github_job_is_let_in_and_told_what_it_may_not(server: TemporalServer, tmp_path: Path) -> None:
    provider, port, rules = Provider(), free_port(), tmp_path / "callers.yaml"
    rule = {"claims": {"repository": "payments/checkout"}, "clusters": ["default"], "namespaces": ["payments"]}
    rules.write_text(json.dumps({"callers": [rule]}))

    async def issue(request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer request"
        return web.json_response({"value": provider.token(aud=request.query["audience"])})

    async with Script().then(200, await provider.fetch()) as keys, Script().then_do(issue) as github:
        settings = {
            "TEMPORAL_ADDRESS": server.address,
            "TIDEGATE_GATEWAY__ISSUER": ISSUER,
            "TIDEGATE_GATEWAY__KEYS_URL": keys.url,
            "TIDEGATE_GATEWAY__CALLERS_FILE": str(rules),
            "TIDEGATE_GATEWAY__PORT": str(port),
        }
        job = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request"}
        gateway = TidegateProcess("gateway", tmp_path, settings, module="workers.gateway")
        await gateway.start()
        try:
            async with open_gateway(f"http://127.0.0.1:{port}", job) as client:
                with pytest.raises(RefusedError, match="may not ask for rollout/default/fraud/scoring"):
                    await client.status(RolloutRef("fraud", "scoring"), run_id="0-1")
                with pytest.raises(RefusedError, match="the token is refused: it is for another audience"):
                    async with open_gateway(f"http://127.0.0.1:{port}", job | {"TIDEGATE_AUDIENCE": "x"}) as stranger:
                        await stranger.status(RolloutRef("payments", "checkout"), run_id="0-1")
            assert len(github.seen) == 2, "one token serves for a while"
        finally:
            await gateway.stop()


async def test_a_token_never_travels_readable_and_has_to_be_there() -> None:
    async def token() -> str:
        return "t"

    for url in ("http://tidegate.internal", "http://127.0.0.1.evil.example", "ftp://x", "tidegate.internal"):
        with pytest.raises(ConfigurationError, match="would travel readable"):
            GatewayClient(url, token)
    with pytest.raises(ConfigurationError, match="no token for the gateway"):
        async with open_gateway("https://tidegate.internal", {}):
            raise AssertionError("it was opened")
