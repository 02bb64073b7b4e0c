from __future__ import annotations

import base64
import json
from typing import Any

from tests.sandbox.kubernetes.kube import CORE, Kube

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCOUNTS = f"{CORE}/serviceaccounts"


async def issue(kube: Kube, audience: str = "vault") -> str:
    await kube.create(ACCOUNTS, {"metadata": {"name": "worker"}})
    answer = await kube.create(f"{ACCOUNTS}/worker/token", {"spec": {"audiences": [audience]}})
    return str(answer["status"]["token"])


async def review(kube: Kube, token: str, audience: str = "vault") -> dict[str, Any]:
    answer = await kube.create(REVIEWS, {"spec": {"token": token, "audiences": [audience]}})
    return dict(answer["status"])


async def test_a_token_says_whose_it_is_and_for_whom(kube: Kube) -> None:
    status = await review(kube, await issue(kube))
    account = await kube.get(f"{ACCOUNTS}/worker")
    assert status["authenticated"] is True
    assert status["audiences"] == ["vault"]
    assert status["user"]["username"] == "system:serviceaccount:default:worker"
    assert status["user"]["uid"] == account["metadata"]["uid"]


async def test_a_token_is_worth_nothing_when_altered_misdirected_or_orphaned(kube: Kube) -> None:
    token = await issue(kube)
    head, claims, signature = token.split(".")
    for forged in ("", "x", "é.é.é", f"{head}.{claims}.", f"{head}.{claims[:-2]}AA.{signature}"):
        assert (await review(kube, forged))["authenticated"] is False
    assert (await review(kube, token, "elsewhere"))["authenticated"] is False
    await kube.delete(f"{ACCOUNTS}/worker")
    await kube.create(ACCOUNTS, {"metadata": {"name": "worker"}})
    assert (await review(kube, token))["authenticated"] is False


async def test_the_header_names_an_algorithm_that_vault_accepts(kube: Kube) -> None:
    header = (await issue(kube)).partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "ES256"


async def test_a_lifetime_out_of_range_is_refused(kube: Kube) -> None:
    code, _ = await kube.call("POST", f"{ACCOUNTS}/default/token", {"spec": {"expirationSeconds": 1}})
    assert code == 422


async def test_everything_is_allowed(kube: Kube) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await kube.create(path, {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}})
    assert answer["status"] == {"allowed": True}
    assert (await kube.call("GET", path))[0] == 405
