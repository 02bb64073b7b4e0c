"""NGINX as a router: a canary Ingress beside each stable one, whose annotations say the weight.

What ingress-nginx has in force it says nowhere: a weight is asked for and not verified. Source: argo-rollouts,
rollout/trafficrouting/nginx.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import INGRESSES, ROLLOUTS, Object, Reader, Resource
from activities.kubernetes.json_patch import Operation, annotate, difference
from activities.kubernetes.ownership import is_of
from activities.routers.router import ExperimentWeight, ManagedStep, RouteChange, RoutedState, invalid
from tidegate.contract import Document, ErrorType, RouteState, Routing, Target
from tidegate.manifests.network import MANAGED_BY
from tidegate.manifests.rollout import Nginx
from tidegate.routers.nginx import (
    IngressError,
    canary_annotations,
    canary_name,
    canary_spec,
    prefix_of,
    weight_annotations,
    weight_in_force,
)


@dataclass(frozen=True)
class RoutedIngress:
    """One canary Ingress, as `RoutedObject` says; `stable` is the Ingress beside it, None where it was not read."""

    stable_name: str
    stable: Object | None
    routing: Routing
    nginx: Nginx
    target: Target
    owner_uid: str

    @property
    def resource(self) -> Resource:
        """Ingresses."""
        return INGRESSES

    @property
    def namespace(self) -> str:
        """The Rollout's."""
        return self.target.namespace

    @property
    def name(self) -> str:
        """Name of the canary Ingress."""
        return canary_name(self.target.name, self.stable_name)

    @property
    def fields(self) -> Sequence[Sequence[str]]:
        """The annotation that says the weight."""
        return [("metadata", "annotations", f"{prefix_of(self.nginx)}/canary-weight")]

    def shift(self, found: Object, weight: int, experiments: Sequence[ExperimentWeight]) -> RouteChange:
        """The weight, and what else the stable Ingress and the Rollout say; others' annotations are kept.

        Raises `InvalidSpec` for an Ingress of another owner, `NotFound` without the stable Ingress.
        """
        self._require_own(found)
        operations = annotate(found, _differing(found, self._annotations(weight)))
        return RouteChange([*operations, *self._spec_operations(found)])

    def set_route(self, found: Object, step: ManagedStep, canary_host: str) -> RouteChange:
        """Nothing: a step with a managed route is refused before a release."""
        return RouteChange([])

    def restore(self, found: Object) -> RouteChange:
        """The weight 0, whatever became of the stable Ingress. Raises `InvalidSpec` for an Ingress of another owner."""
        self._require_own(found)
        wanted = weight_annotations(self.nginx, 0, self.routing.max_traffic_weight)
        return RouteChange(annotate(found, _differing(found, wanted)))

    def read(self, found: Object | None) -> RoutedState:
        """The weight that is asked for; without a canary Ingress everything goes to stable."""
        weight = weight_in_force(found, self.nginx) if found is not None else 0
        row = RouteState(
            kind=INGRESSES.kind,
            name=self.name,
            namespace=self.namespace,
            route=self.stable_name,
            stable=self.routing.max_weight - weight,
            canary=weight,
        )
        return RoutedState(rows=(row,), converged=self._is_converged(found, weight), verified=False)

    def body(self, weight: int) -> Object:
        """The canary Ingress. Raises as `shift`."""
        metadata: Object = {"name": self.name, "annotations": self._annotations(weight)}
        if self.owner_uid:
            metadata["ownerReferences"] = [
                {
                    "apiVersion": ROLLOUTS.api_version,
                    "kind": ROLLOUTS.kind,
                    "name": self.target.name,
                    "uid": self.owner_uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ]
        else:
            metadata["annotations"][MANAGED_BY] = self.target.name
        body = {"apiVersion": INGRESSES.api_version, "kind": INGRESSES.kind, "metadata": metadata}
        return {**body, "spec": self._spec()}

    def event(self, weight: int, *, created: bool) -> tuple[str, str]:
        """Argo's Events."""
        if created:
            return "CreatingCanaryIngress", f"Creating canary ingress `{self.name}` with weight `{weight}`"
        return "PatchingCanaryIngress", f"Updating Ingress `{self.name}` to desiredWeight '{weight}'"

    def _is_converged(self, found: Object | None, weight: int) -> bool:
        """True when nothing else would be written, or nothing can be as it is."""
        if self.stable is None:
            return True
        try:
            return found is not None and not self.shift(found, weight, ()).operations
        except ApplicationError:
            return True

    def _annotations(self, weight: int) -> dict[str, str]:
        return canary_annotations(self._stable(), self.nginx, weight, self.routing.max_traffic_weight)

    def _spec(self) -> Object:
        try:
            return canary_spec(self._stable(), self.routing.stable_service, self.routing.canary_service)
        except IngressError as error:
            raise invalid(str(error)) from error

    def _spec_operations(self, found: Object) -> list[Operation]:
        wanted, spec = self._spec(), found.get("spec") or {}
        return difference({key: spec[key] for key in spec if key in _COPIED or key in wanted}, wanted, "/spec")

    def _stable(self) -> Object:
        if self.stable is None:
            raise ApplicationError(
                f'error retrieving stableIngress `{self.stable_name}`: ingress.{INGRESSES.group} "{self.stable_name}" '
                "not found",
                type=ErrorType.NOT_FOUND,
            )
        return self.stable

    def _require_own(self, found: Object) -> None:
        marked = (found["metadata"].get("annotations") or {}).get(MANAGED_BY) == self.target.name
        if not marked and not is_of(found, self.target.name, self.owner_uid, unowned=False):
            raise invalid(f"canary ingress `{self.name}` controlled by different object")


@dataclass(frozen=True)
class NginxRouter:
    """Router of a Rollout with Ingresses of NGINX, as `Router` says."""

    routing: Routing
    nginx: Nginx
    target: Target
    owner_uid: str

    async def objects(self, reader: Reader, *, back: bool = False) -> Sequence[RoutedIngress]:
        """A canary Ingress for each stable one, which the way back does not ask for."""
        return [
            RoutedIngress(
                name,
                None if back else await reader.find(INGRESSES, self.target.namespace, name),
                self.routing,
                self.nginx,
                self.target,
                self.owner_uid,
            )
            for name in self.nginx.all_ingresses()
        ]

    async def canary_host(self, reader: Reader) -> str:
        """None: there are no managed routes."""
        return ""

    async def with_ports(self, reader: Reader, experiments: Sequence[ExperimentWeight]) -> Sequence[ExperimentWeight]:
        """None: an experiment with a weight is refused before a release."""
        return ()

    async def observe(self, reader: Reader) -> Mapping[str, Document | None]:
        """The stable Ingresses."""
        return {
            f"{INGRESSES.kind}/{name}.{self.target.namespace}": await reader.find(
                INGRESSES, self.target.namespace, name
            )
            for name in self.nginx.all_ingresses()
        }


_COPIED = ("ingressClassName", "tls", "rules")


def _differing(found: Object, wanted: Mapping[str, str]) -> dict[str, str | None]:
    """Annotations that an object does not have as wanted."""
    present = found["metadata"].get("annotations") or {}
    return {key: value for key, value in wanted.items() if present.get(key) != value}
