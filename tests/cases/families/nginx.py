"""nginx: the canary Ingresses that a pass writes, against the embedded Kubernetes API."""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.testing import capture_logs

from activities.kubernetes.client import INGRESSES, Object
from sandbox.kubernetes_api import Change
from tests.activities.mesh import serving
from tests.cases.family import Answer, Family, Input, equal
from tests.cases.routed import Stage, without_fence

ABOUT_CACHE = " from cache"
TEXTS = ("setAnnotation", "setRules")  # what somebody else does


class Ingresses(Stage):
    """Ingresses of a case."""

    def written(self, change: Change) -> Answer:
        if change.kind.kind != INGRESSES.kind:
            return None
        name, after = change.object["metadata"]["name"], _told(change.object)
        if change.type == "ADDED":
            return {"create": name}
        before = _told(change.previous or {"metadata": {}})
        return {"patch": name, "body": _merge_patch(before, after)} if before != after else None

    async def run(self, operation: dict[str, Any]) -> Answer | None:
        [(what, value)] = operation.items()
        if what not in TEXTS:
            return await super().run(operation)
        found = await self.mesh.cluster.get(INGRESSES, self.target.namespace, value["name"])
        patch: Object = (
            {"op": "add", "path": "/spec/rules", "value": value["rules"]}
            if what == "setRules"
            else {
                "op": "add",
                "path": "/metadata/annotations",
                "value": {**(found["metadata"].get("annotations") or {}), value["key"]: value["value"]},
            }
        )
        await self.mesh.patch(INGRESSES, value["name"], patch)
        self._written.clear()
        return None

    async def stands(self) -> Answer:
        found = await self.mesh.cluster.select(INGRESSES, self.target.namespace, {})
        return {each["metadata"]["name"]: _told(each) for each in found}


def _told(ingress: Object) -> Answer:
    metadata = without_fence(ingress)["metadata"]
    parts = {name: metadata.get(name) for name in ("annotations", "labels", "ownerReferences") if metadata.get(name)}
    return {**parts, "spec": ingress.get("spec")}


def _merge_patch(before: Answer, after: Answer) -> Answer:
    """A merge patch (RFC 7396) between two states, as the cases write them."""
    body = _differences(before, after)
    metadata = {key: body.pop(key) for key in ("annotations", "labels", "ownerReferences") if key in body}
    return {**({"metadata": metadata} if metadata else {}), **body}


def _differences(before: Answer, after: Answer) -> Answer:
    changed: dict[str, Any] = {}
    for key, value in after.items():
        if before.get(key) != value:
            both = isinstance(value, dict) and isinstance(before.get(key), dict)
            changed[key] = _differences(before[key], value) if both else value
    return changed | {key: None for key in before if key not in after}


def nginx(given: Input) -> Answer:
    async def play() -> Answer:
        async with serving() as mesh:
            stage = Ingresses(given, mesh, {"ingresses": "Ingress"})
            await stage.place()
            ops = await stage.play()
            return {"ops": ops, "events": stage.events, "ingresses": await stage.stands()}

    with capture_logs():
        return asyncio.run(play())


def same(expected: Answer, actual: Answer) -> bool:
    """Whether the answers agree; nothing is read from a cache here, and no text says so."""
    plain = [
        each | ({"error": each["error"].replace(ABOUT_CACHE, "")} if each.get("error") else {})
        for each in expected["ops"]
    ]
    return equal({**expected, "ops": plain}, actual)


def quirk(given: Input) -> str:
    """Why Argo is not followed; empty for a case that is."""
    canary = given["rollout"]["spec"]["strategy"]["canary"]
    settings, stable = canary["trafficRouting"]["nginx"], canary["stableService"]
    if given.get("stale_cache"):
        return "a write reads the API server and no cache that is behind"
    if any("/" in key and not key.startswith("nginx.") for key in settings.get("additionalIngressAnnotations") or {}):
        return "an annotation with a domain of its own is used as it is"
    rules = [rule for each in given.get("ingresses") or [] for rule in each["spec"].get("rules") or []]
    if any(not rule.get("http") for rule in rules):
        return "a rule without paths is none of the canary Ingress"
    if any({stable} < _services(rule) for rule in rules):
        return "only paths to the stable Service are in the canary Ingress"
    if len(settings.get("stableIngresses") or []) > 1:
        return "no Ingress is written before all were found and understood: half a split is worse than none"
    return ""


def _services(rule: Object) -> set[str]:
    return {path["backend"]["service"]["name"] for path in rule["http"]["paths"] if path["backend"].get("service")}


FAMILIES = (Family("nginx", nginx, same, quirk),)
