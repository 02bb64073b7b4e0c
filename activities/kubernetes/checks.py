"""Checks of a cluster: is it reached, are the kinds there, and may this worker do what releases need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    DESTINATION_RULES,
    GRPC_ROUTES,
    HTTP_ROUTES,
    INGRESSES,
    ROLLOUTS,
    TCP_ROUTES,
    TLS_ROUTES,
    VIRTUAL_SERVICES,
    Cluster,
    Resource,
)
from activities.kubernetes.rights import Right, rights, router_rights
from activities.transport.checks import DEFAULT, check, wrong
from tidegate.contract import Activity, Check, Checks, CheckState, CheckSystems, ErrorType

AT_ONCE: Final = 8  # reviews of access under way
_MOST_NAMED: Final = 5
_OWN: Final = (ROLLOUTS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, ANALYSIS_RUNS)
_GATEWAY_API: Final = (HTTP_ROUTES, GRPC_ROUTES, TCP_ROUTES, TLS_ROUTES)
REACH: Final = {
    ErrorType.UNAUTHORIZED: "kubectl -n tidegate rollout restart deployment/tidegate-cluster",
    DEFAULT: "kubectl cluster-info; then set TIDEGATE_KUBERNETES__KUBECONFIG or TIDEGATE_KUBERNETES__API_URL",
}
APPLY_CRDS: Final = "kubectl apply -f deploy/crds"
APPLY_GATEWAY_API: Final = (
    "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api/releases/latest/download/experimental-install.yaml"
)
# Kinds of each router by its component in `deploy/kustomize`, and the command that installs them.
ROUTERS: Final[Mapping[str, tuple[tuple[Resource, ...], str]]] = {
    "istio": ((VIRTUAL_SERVICES, DESTINATION_RULES), "istioctl install --set profile=minimal"),
    "gateway-api": (_GATEWAY_API, APPLY_GATEWAY_API),
    "nginx": ((INGRESSES,), "helm install ingress-nginx ingress-nginx/ingress-nginx"),
}
APPLY_ROLES: Final = "kubectl apply -k deploy/kustomize/overlays/single-cluster"
BIND_CLUSTER: Final = (
    "kubectl create clusterrolebinding tidegate-cluster-templates --clusterrole=tidegate-cluster-templates "
    "--serviceaccount=tidegate:tidegate-cluster"
)


class ClusterChecks:
    """The activity that checks the cluster of a worker."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @activity.defn(name=Activity.CHECK_CLUSTER)
    async def check(self, request: CheckSystems) -> Checks:
        """Check reach, kinds and rights; without reach, that alone. It writes nothing."""
        reached = await check("Kubernetes", self._version, REACH)
        if reached.remedy:
            return Checks(checks=(reached,))
        return Checks(
            checks=(
                reached,
                await self._kinds("CRDs of Argo", _OWN, APPLY_CRDS),
                *await self._rights(request.namespace),
                *[await self._router(router, request.namespace) for router in ROUTERS],
            )
        )

    async def _version(self) -> str:
        found = await self._cluster.document("/version")
        return f"reached, {found.get('gitVersion') or 'its version is not known'}"

    async def _kinds(self, name: str, resources: Iterable[Resource], remedy: str) -> Check:
        try:
            missing = [each async for each in self._missing(resources)]
        except ApplicationError as error:
            return wrong(name, error.message, REACH[DEFAULT])
        if missing:
            return wrong(name, f"missing: {', '.join(missing)}", remedy)
        return Check(name=name, detail=", ".join(each.plural for each in resources))

    async def _missing(self, resources: Iterable[Resource]) -> AsyncIterator[str]:
        """Yield the resources that discovery does not list; each version is read once. Raises ApplicationError."""
        listed: dict[str, set[Any]] = {}
        for each in resources:
            if each.api_version not in listed:
                listed[each.api_version] = await self._listed(each.api_version)
            if each.plural not in listed[each.api_version]:
                yield f"{each.plural}.{each.group}/{each.version}"

    async def _listed(self, api_version: str) -> set[Any]:
        """Names in a version of an API; none where the cluster has no such version. Raises ApplicationError."""
        try:
            found = await self._cluster.document(f"/apis/{api_version}")
        except ApplicationError as error:
            if error.type != ErrorType.NOT_FOUND:
                raise
            return set()
        return {kind.get("name") for kind in found.get("resources") or ()}

    async def _router(self, router: str, namespace: str) -> Check:
        """One router: nothing is wrong where no component grants it; half of its rights are a fault."""
        name, (resources, remedy) = f"router {router}", ROUTERS[router]
        wanted = list(router_rights(router, namespace))
        try:
            answers = await self._answers(wanted)
        except ApplicationError as error:
            return wrong(name, error.message, REACH[DEFAULT])
        if not any(answers):
            detail = f"not granted in {namespace}: deploy/kustomize/components/{router} does so"
            return Check(name=name, state=CheckState.ABSENT, detail=detail)
        if not all(answers):
            denied = [right for right, may in zip(wanted, answers, strict=True) if not may]
            return wrong(name, _denied_text(denied), APPLY_ROLES)
        return await self._kinds(name, resources, remedy)

    async def _rights(self, namespace: str) -> list[Check]:
        wanted = list(rights(namespace))
        try:
            answers = await self._answers(wanted)
        except ApplicationError as error:
            return [wrong(f"rights in {namespace}", error.message, REACH[DEFAULT])]
        return list(_right_lines(namespace, wanted, answers))

    async def _answers(self, wanted: Iterable[Right]) -> list[bool]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def allowed(right: Right) -> bool:
            async with turns:
                return await self._cluster.may(right.verb, right.group, right.resource, right.namespace)

        return await asyncio.gather(*map(allowed, wanted))


def _right_lines(namespace: str, wanted: list[Right], answers: list[bool]) -> Iterator[Check]:
    for scope, name in ((namespace, f"rights in {namespace}"), ("", "rights in the cluster")):
        requested = [right for right in wanted if right.namespace == scope]
        denied = [right for right, may in zip(wanted, answers, strict=True) if right.namespace == scope and not may]
        if not denied:
            yield Check(name=name, detail=f"all {len(requested)} that releases use")
            continue
        yield wrong(name, _denied_text(denied), _binding(scope) if denied == requested else APPLY_ROLES)


def _denied_text(denied: list[Right]) -> str:
    named = ", ".join(map(str, denied[:_MOST_NAMED]))
    rest = f" and {len(denied) - _MOST_NAMED} more" if len(denied) > _MOST_NAMED else ""
    return f"may not {named}{rest}"


def _binding(namespace: str) -> str:
    """The command that binds the role; a team does so in its namespace (`deploy/kustomize/teams`)."""
    if not namespace:
        return BIND_CLUSTER
    return (
        f"kubectl create rolebinding tidegate-cluster -n {namespace} --clusterrole=tidegate-cluster "
        "--serviceaccount=tidegate:tidegate-cluster"
    )
