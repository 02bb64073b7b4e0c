"""The roles of `deploy/`, as an overlay renders them, under names that collide with nobody's."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from activities.kubernetes.client import Object
from tests.deploy.manifests import DEPLOY, of_kind, render
from tests.kubernetes.plane import Plane

OVERLAY = DEPLOY / "kustomize" / "overlays" / "single-cluster-all-routers"
RENDERED = "tidegate"  # the namespace of the overlay
TEAM = "payments"  # the team's namespace in it
OF_THE_CLUSTER = (
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
ACCOUNTS = ("tidegate-cluster", "tidegate-watcher")
TOKEN_LASTS = "3h"


class Roles:
    """What was applied for one run of the suite."""

    def __init__(self, plane: Plane, suffix: str) -> None:
        self._plane = plane
        self._suffix = suffix
        self.namespace = f"{RENDERED}-{suffix}"
        self.objects = [self._own(each) for each in copy.deepcopy(_rendered())]

    def user(self, account: str) -> str:
        """The name by which the API server knows an account."""
        return f"system:serviceaccount:{self.namespace}:{account}"

    async def apply(self, namespaces: Sequence[str]) -> None:
        """Make them, and hand each of the namespaces to Tidegate as a team does."""
        bindings = [each for each in self.objects if each["kind"] == "RoleBinding"]
        for name in namespaces:
            teams = [{**each, "metadata": {**each["metadata"], "namespace": name}} for each in bindings]
            await self._plane.create(teams)
        await self._plane.create(each for each in self.objects if each["kind"] != "RoleBinding")

    async def remove(self) -> None:
        """Delete what belongs to no namespace of the suite, and the accounts' namespace with all in it."""
        names = [
            f"{each['kind']}/{each['metadata']['name']}"
            for each in self.objects
            if each["kind"] in (*OF_THE_CLUSTER, "Namespace")
        ]
        await self._plane.kubectl("delete", "--ignore-not-found", "--wait=false", *names)

    async def kubeconfig(self, account: str) -> Path:
        """A kubeconfig with a token of that account."""
        token = await self._plane.kubectl("create", "token", account, "-n", self.namespace, "--duration", TOKEN_LASTS)
        shown = await self._plane.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
        config = json.loads(shown)
        config["users"] = [{"name": account, "user": {"token": token.strip()}}]
        config["contexts"][0]["context"]["user"] = account
        path = self._plane.home / f"{account}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def _own(self, obj: Object) -> Object:
        if obj["kind"] == "Namespace":
            obj["metadata"]["name"] = self.namespace
        elif obj["kind"] in OF_THE_CLUSTER:
            obj["metadata"]["name"] += f"-{self._suffix}"
        if obj["metadata"].get("namespace") == RENDERED:
            obj["metadata"]["namespace"] = self.namespace
        for subject in obj.get("subjects") or []:
            subject["namespace"] = self.namespace
        if "roleRef" in obj:
            obj["roleRef"]["name"] += f"-{self._suffix}"
        if "policyName" in obj.get("spec", {}):
            obj["spec"]["policyName"] += f"-{self._suffix}"
        for condition in obj.get("spec", {}).get("matchConditions") or []:
            said, account = condition["expression"], f"serviceaccount:{RENDERED}:"
            assert account in said, "the policy is about one account"
            condition["expression"] = said.replace(account, f"serviceaccount:{self.namespace}:")
        return obj


def _rendered() -> list[Object]:
    objects = render(OVERLAY)
    kinds = (*OF_THE_CLUSTER, "ServiceAccount", "RoleBinding", "Role")
    found = of_kind(objects, *kinds)
    spaces = [each for each in of_kind(objects, "Namespace") if each["metadata"]["name"] == RENDERED]
    accounts = [each for each in found if each["kind"] != "ServiceAccount" or each["metadata"]["name"] in ACCOUNTS]
    bound = [each for each in accounts if each["kind"] != "RoleBinding" or each["metadata"]["namespace"] == TEAM]
    return [*spaces, *bound]
