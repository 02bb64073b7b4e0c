"""gateway_api: what the plugin writes into routes, against the embedded Kubernetes API."""

from __future__ import annotations

import asyncio
import copy
from itertools import pairwise
from typing import Any, Final

from structlog.testing import capture_logs

from activities.kubernetes.client import Object
from activities.routers.gateway_api import RESOURCES
from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.gateway_routes import fill_route
from tests.activities.mesh import serving
from tests.cases.family import Answer, Family, Input, equal
from tests.cases.routed import Stage
from tidegate.manifests.gateway_api import PLUGIN

KINDS: Final = {resource.plural: kind for kind, resource in RESOURCES.items()}


class Routes(Stage):
    """Routes of a case."""

    def written(self, change: Change) -> str:
        if change.type == "DELETED" or change.kind.kind not in RESOURCES:
            return ""
        return "" if _told(change.object) == _told(change.previous or {}) else f"update {change.kind.plural}"

    async def stands(self) -> Answer:
        return {
            plural: {
                each["metadata"]["name"]: _told(
                    await self.mesh.cluster.get(
                        RESOURCES[kind],
                        each["metadata"].get("namespace", self.target.namespace),
                        each["metadata"]["name"],
                    )
                )
                for each in self.given.get(plural) or []
            }
            for plural, kind in KINDS.items()
        }


def _told(route: Object) -> Answer:
    """Labels and spec, with what the API fills in at any write."""
    stored = copy.deepcopy(route)
    fill_route(stored)
    return {"labels": (stored.get("metadata") or {}).get("labels"), "spec": stored.get("spec")}


def gateway_api(given: Input) -> Answer:
    async def play() -> Answer:
        async with serving() as mesh:
            stage = Routes(given, mesh, {**KINDS, "services": "Service"})
            await stage.place()
            return {"ops": await stage.play(), **await stage.stands()}

    with capture_logs():
        return asyncio.run(play())


def same(expected: Answer, actual: Answer) -> bool:
    """Whether the answers agree once the defaults of the API are filled in: the cases come from one without any."""
    return "ops" in actual and equal(_filled(expected), _filled(actual))


def _filled(answer: Answer) -> Answer:
    filled = copy.deepcopy(answer)
    for plural, kind in KINDS.items():
        for route in (filled.get(plural) or {}).values():
            route["kind"] = kind
            fill_route(route)
    return filled


def quirk(given: Input) -> str:
    """Why the plugin is not followed; empty for a case that is."""
    canary = given["rollout"]["spec"]["strategy"]["canary"]
    settings = canary["trafficRouting"]["plugins"][PLUGIN]
    kinds = [next(key for key in each if key not in ("additional", "status")) for each in given["ops"]]
    rules = [rule for plural in KINDS for route in given.get(plural) or [] for rule in route["spec"].get("rules") or []]
    if any(each.get("additional") or each.get("status") for each in given["ops"]) or _has_experiment(rules):
        return "an experiment's share follows what is asked for, and comes out of stable's"
    if any(each.get("setWeight", 0) > 100 for each in given["ops"]):
        return "a weight beyond 100 is refused, as its rest would be negative"
    if "setMirrorRoute" in kinds:
        return "a mirror step is refused, as no route would be mirrored"
    if "verifyWeight" in kinds:
        return "a weight is verified once each Gateway has accepted the route as it is"
    if any(_is_foreign(each, given["rollout"]["metadata"].get("namespace", "")) for each in _references(rules)):
        return "a backend of another kind or namespace is no Service of the Rollout"
    return _quirk_of_rules(given, canary, settings, rules, kinds)


def _quirk_of_rules(
    given: Input, canary: dict[str, Any], settings: dict[str, Any], rules: list[Object], kinds: list[str]
) -> str:
    names = {each["name"] for each in canary["trafficRouting"].get("managedRoutes") or []}
    asked = {each["setHeaderRoute"]["name"] for each in given["ops"] if "setHeaderRoute" in each}
    if asked - names:
        return "a header route that is not among managedRoutes is refused"
    if "removeManagedRoutes" in kinds and len(asked) > 1:
        return "managed routes are removed one by one"
    if "setHeaderRoute" in kinds and any({"timeouts", "retry", "sessionPersistence"} & rule.keys() for rule in rules):
        return "a header route keeps timeouts, retries and session persistence of the rule that it is made of"
    if len([each for key in settings for each in _listed(settings[key])]) > 1 and _fails(given):
        return "no route is written before all were found and understood: half a split is worse than none"
    if any({each.get("name") for each in _references([rule])} == {canary.get("stableService")} for rule in rules):
        return "a rule with the stable Service alone is left alone: a weight of 0 would answer with errors"
    if _repeats(given["ops"]):
        return "a route that is as wanted is not written again"
    return ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _fails(given: Input) -> bool:
    return any("error" in each for each in gateway_api(given)["ops"])


def _references(rules: list[Object]) -> list[Object]:
    return [each for rule in rules for each in rule.get("backendRefs") or []]


def _has_experiment(rules: list[Object]) -> bool:
    return any(str(each.get("name", "")).startswith("exp") for each in _references(rules))


def _is_foreign(reference: Object, own: str) -> bool:
    is_service = reference.get("kind", "Service") == "Service" and not reference.get("group")
    return not is_service or reference.get("namespace", own) != own


def _repeats(ops: list[dict[str, Any]]) -> bool:
    return any(one == other for one, other in pairwise(ops))


FAMILIES = (Family("gateway_api", gateway_api, same, quirk),)
