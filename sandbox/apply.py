"""Manifests into an embedded cluster, as a GitOps controller does when a commit lands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp

from sandbox.kubernetes_api.kinds import kind_of

FIELD_MANAGER = "gitops"
_APPLY_PATCH = "application/apply-patch+yaml"


async def apply(url: str, documents: Sequence[dict[str, Any]]) -> None:
    """Apply manifests, and the namespaces that they need, to the API server at `url`.

    Raises RuntimeError with the server's answer when it refuses one, ValueError for a kind that it does not have.
    """
    namespaces = sorted({document["metadata"].get("namespace", "") for document in documents} - {""})
    homes = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces]
    async with aiohttp.ClientSession() as session:
        for document in (*homes, *documents):
            path = _path(document)
            async with session.patch(
                f"{url}{path}",
                params={"fieldManager": FIELD_MANAGER, "force": "true"},
                headers={"Content-Type": _APPLY_PATCH},
                json=document,
            ) as answer:
                if answer.status >= 400:
                    raise RuntimeError(f"{path}: {answer.status} {await answer.text()}")


def _path(document: dict[str, Any]) -> str:
    api, metadata = str(document["apiVersion"]), document["metadata"]
    kind = kind_of(api, document["kind"])
    if kind is None:
        raise ValueError(f"{api} {document['kind']}: the embedded API server does not have this kind")
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    scope = f"/namespaces/{metadata['namespace']}" if kind.namespaced else ""
    return f"{root}{scope}/{kind.plural}/{metadata['name']}"
