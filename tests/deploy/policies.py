"""ValidatingAdmissionPolicies as an API server judges by them: their own CEL, evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import celpy

from sandbox.kubernetes_api.admission import Write
from tests.deploy.manifests import Object, of_kind

_ENVIRONMENT = celpy.Environment()


@cache
def _program(expression: str) -> Any:
    return _ENVIRONMENT.program(_ENVIRONMENT.compile(expression))


def denied(policy: Object, new: Object, old: Object | None = None, user: str = "") -> list[str]:
    """The messages of the validations that a write fails; empty where the policy is not about it."""
    spec = policy["spec"]
    given: dict[str, Any] = {
        "object": celpy.json_to_cel(new),
        "oldObject": celpy.json_to_cel(old),
        "request": celpy.json_to_cel({"userInfo": {"username": user}}),
    }
    if not all(_program(each["expression"]).evaluate(given) for each in spec.get("matchConditions", [])):
        return []
    variables = celpy.celtypes.MapType()
    for each in spec.get("variables", []):
        with_others = {**given, "variables": variables}
        variables[celpy.celtypes.StringType(each["name"])] = _program(each["expression"]).evaluate(with_others)
    given["variables"] = variables
    return [each["message"] for each in spec["validations"] if not _program(each["expression"]).evaluate(given)]


class Policies:
    """Those of some objects that are bound everywhere, for an API server to judge writes by."""

    def __init__(self, objects: Sequence[Object]) -> None:
        found = list(objects)
        self._bound = [
            (policy, binding)
            for policy in of_kind(found, "ValidatingAdmissionPolicy")
            for binding in of_kind(found, "ValidatingAdmissionPolicyBinding")
            if binding["spec"]["policyName"] == policy["metadata"]["name"]
            and "Deny" in binding["spec"]["validationActions"]
            and "matchResources" not in binding["spec"]
        ]
        self.judged: list[tuple[str, str]] = []  # policy and user of each write that one was about

    def __call__(self, write: Write) -> str:
        """Why a write is denied, as Kubernetes says it; empty lets it pass."""
        for policy, binding in self._bound:
            rules = policy["spec"]["matchConstraints"]["resourceRules"]
            if not any(_is_about(rule, write) for rule in rules):
                continue
            name = policy["metadata"]["name"]
            self.judged.append((name, write.user))
            for message in denied(policy, write.new, write.old, write.user):
                bound = f"ValidatingAdmissionPolicy '{name}' with binding '{binding['metadata']['name']}'"
                return f"{bound} denied request: {message}"
        return ""


def _is_about(rule: Object, write: Write) -> bool:
    return all(
        {value, "*"} & set(rule[field])
        for field, value in (
            ("apiGroups", write.group),
            ("apiVersions", write.version),
            ("operations", write.operation),
            ("resources", write.resource),
        )
    )
