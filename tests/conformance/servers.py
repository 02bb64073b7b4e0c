"""The two API servers that are asked: the embedded one, and one that a kubeconfig names."""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from sandbox.kubernetes_api import KubernetesApi
from sandbox.kubernetes_api.admission import Write
from tests.conformance.asking import ARGO, TIDEGATE
from tests.kubernetes import given
from tests.kubernetes.plane import Plane
from tests.kubernetes.policies import BINDING, GROUP, POLICY

TIMEOUT_SECONDS = 60


def servers() -> list[str]:
    """What is asked: the embedded API, and the real one where there is one, each under both definitions."""
    real = (
        [] if given.why_not() else [f"real-{TIDEGATE}"] + ([f"real-{ARGO}"] if given.is_given(given.ARGO_CRDS) else [])
    )
    return [f"embedded-{TIDEGATE}", f"embedded-{ARGO}", *real]


class Embedded:
    """The embedded API; `history` is how many changes its watches can go back."""

    def __init__(self, *, argo: bool, history: int = 16) -> None:
        self._refusals: dict[tuple[str, str, str], str] = {}
        self.api = KubernetesApi(rbac=True, history=history, admission=self._judge, argo_crds=argo)
        self.http = httpx.AsyncClient()

    async def start(self) -> None:
        """Listen."""
        await self.api.start()
        self.http = httpx.AsyncClient(base_url=self.api.url, timeout=TIMEOUT_SECONDS)

    async def stop(self) -> None:
        """End it."""
        await self.http.aclose()
        await self.api.stop()

    def bearer(self, token: str) -> httpx.AsyncClient:
        """A client of somebody else."""
        return httpx.AsyncClient(base_url=self.api.url, headers=_bearer(token), timeout=TIMEOUT_SECONDS)

    def _judge(self, write: Write) -> str:
        namespace = str(write.new["metadata"].get("namespace"))
        return self._refusals.get((namespace, write.group, write.resource), "") if write.operation == "UPDATE" else ""

    @asynccontextmanager
    async def refusing(self, namespace: str, group: str, resource: str, words: str) -> AsyncIterator[None]:
        """While this is entered, admission refuses updates."""
        key = (namespace, group, resource)
        self._refusals[key] = words
        yield
        del self._refusals[key]


class Real:
    """The API server of a cluster for tests, asked by its administrator."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._url = ""
        self._tls: ssl.SSLContext | bool = False
        self.http = httpx.AsyncClient()

    async def start(self) -> None:
        """Read the kubeconfig: the address, and a token or a client's certificate."""
        words = ("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
        config = json.loads(await self._plane.kubectl(*words))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._url, self._tls = cluster["server"], _tls(cluster)
        mine = _tls(cluster)
        if "client-certificate-data" in user:
            mine.load_cert_chain(self._file(user["client-certificate-data"]), self._file(user["client-key-data"]))
        headers = _bearer(user["token"]) if "token" in user else {}
        self.http = httpx.AsyncClient(base_url=self._url, verify=mine, headers=headers, timeout=TIMEOUT_SECONDS)

    async def stop(self) -> None:
        """Ask nothing more."""
        await self.http.aclose()

    def bearer(self, token: str) -> httpx.AsyncClient:
        """A client of somebody else."""
        return httpx.AsyncClient(base_url=self._url, verify=self._tls, headers=_bearer(token), timeout=TIMEOUT_SECONDS)

    def _file(self, encoded: str) -> Path:
        path = self._plane.home / uuid.uuid4().hex
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(encoded))
        return path

    @asynccontextmanager
    async def refusing(self, namespace: str, group: str, resource: str, words: str) -> AsyncIterator[None]:
        """While this is entered, admission refuses updates."""
        name = f"refuses-{namespace}"
        rule = {"apiGroups": [group, ""], "apiVersions": ["*"], "operations": ["UPDATE"]}
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{**rule, "resources": [resource, "configmaps"]}]},
            "matchConditions": [{"name": "namespace", "expression": f"request.namespace == '{namespace}'"}],
            "validations": [{"expression": "false", "message": words}],
        }
        bound = {"policyName": name, "validationActions": ["Deny"]}
        kinds = (("ValidatingAdmissionPolicy", spec), ("ValidatingAdmissionPolicyBinding", bound))
        probe: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}
        probe["metadata"]["namespace"] = namespace
        await self._plane.create([probe])
        await self._plane.create(
            {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, "spec": each}
            for kind, each in kinds
        )
        write = ("label", "configmap", "probe", "-n", namespace, "a=b")
        try:
            await self._plane.until(lambda: self._plane.is_refused(*write), 60, lambda: f"{name} is not in force")
            yield
        finally:
            await self._plane.kubectl("delete", POLICY, name)
            await self._plane.kubectl("delete", BINDING, name)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _tls(cluster: dict[str, Any]) -> ssl.SSLContext:
    if cluster.get("insecure-skip-tls-verify"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    return ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
