"""Kubernetes' own admission policies that refuse something of one Rollout, while they stand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.kubernetes.client import Object
from tests.kubernetes.apps import App

GROUP = "admissionregistration.k8s.io"
POLICY = f"validatingadmissionpolicies.{GROUP}"
BINDING = f"validatingadmissionpolicybindings.{GROUP}"


@asynccontextmanager
async def refusing(
    app: App, rule: Object, expression: str, words: str, probe: list[str], reason: str = "Invalid"
) -> AsyncIterator[None]:
    """Requests by `rule` for objects named after the app are refused with `words` unless `expression` holds.

    `probe` is a request by kubectl that is refused then: the API server takes a policy up, and lets it go, a moment
    after it was written.
    """
    name = f"refuses-{app.name}"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [
            {"name": "namespace", "expression": f"request.namespace == '{app.namespace}'"},
            {"name": "app", "expression": f"object.metadata.name.startsWith('{app.name}')"},
        ],
        "validations": [{"expression": expression, "message": words, "reason": reason}],
    }
    bound = {"policyName": name, "validationActions": ["Deny"]}
    kinds = (("ValidatingAdmissionPolicy", spec), ("ValidatingAdmissionPolicyBinding", bound))
    plane = app.plane
    await plane.create(
        {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, "spec": each} for kind, each in kinds
    )
    try:
        await plane.until(lambda: plane.is_refused(*probe), 60, lambda: f"policy {name} is not in force")
        yield
    finally:
        await plane.kubectl("delete", POLICY, name)
        await plane.kubectl("delete", BINDING, name)

    async def lifted() -> bool:
        return not await plane.is_refused(*probe)

    await plane.until(lifted, 60, lambda: f"policy {name} is in force still")
