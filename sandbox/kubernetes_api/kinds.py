"""The kinds that the server knows: names, versions, scope, subresources and verbs."""

from __future__ import annotations

from dataclasses import dataclass

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Scale:
    """Where the scale subresource finds its numbers, as paths below the object."""

    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")  # a label selector, or a string in status


@dataclass(frozen=True)
class Kind:
    """One resource type.

    All `versions` are views of one stored object that differ in `apiVersion` only; the first is the preferred one, in
    which the object is stored. `custom` marks what a real cluster serves from a CustomResourceDefinition: no strategic
    merge, no defaults. `virtual` kinds are questions (reviews): they can be created but are never stored.
    """

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    custom: bool = False
    status: bool = False
    scale: Scale | None = None
    field_labels: tuple[str, ...] = ()
    generation: bool = False
    virtual: bool = False

    @property
    def resource(self) -> str:
        """`plural.group` as in error messages; just the plural in the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def verbs(self) -> tuple[str, ...]:
        """What may be done with objects of this kind, in RBAC's words."""
        return ("create",) if self.virtual else ALL_VERBS

    @property
    def stored_version(self) -> str:
        """`apiVersion` of the stored form."""
        return self.api_version(self.versions[0])

    def api_version(self, version: str) -> str:
        """`group/version`; the bare version in the core group."""
        return f"{self.group}/{version}" if self.group else version


_ALL = ("all",)
_EVENT_FIELDS = (
    *(f"involvedObject.{part}" for part in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")),
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)
_POD_FIELDS = ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP")
_ISTIO = ("v1", "v1beta1", "v1alpha3")
_ISTIO_CATEGORIES = ("istio-io", "networking-istio-io")


_V1 = ("v1",)
_ARGO = ("v1alpha1",)


def _argo(kind: str, plural: str, *short: str, namespaced: bool = True) -> Kind:
    return Kind("argoproj.io", _ARGO, kind, plural, namespaced, short, custom=True, generation=True)


def _istio(kind: str, plural: str, *short: str) -> Kind:
    return Kind(
        "networking.istio.io",
        _ISTIO,
        kind,
        plural,
        True,
        short,
        _ISTIO_CATEGORIES,
        custom=True,
        status=True,
        generation=True,
    )


NAMESPACES = Kind("", _V1, "Namespace", "namespaces", False, ("ns",), status=True, field_labels=("status.phase",))
PODS = Kind("", _V1, "Pod", "pods", True, ("po",), _ALL, status=True, field_labels=_POD_FIELDS, generation=True)
SERVICES = Kind("", _V1, "Service", "services", True, ("svc",), _ALL, status=True)
ENDPOINTS = Kind("", _V1, "Endpoints", "endpoints", True, ("ep",))
RESOURCE_QUOTAS = Kind("", _V1, "ResourceQuota", "resourcequotas", True, ("quota",), status=True)
SERVICE_ACCOUNTS = Kind("", _V1, "ServiceAccount", "serviceaccounts", True, ("sa",))
ENDPOINT_SLICES = Kind("discovery.k8s.io", _V1, "EndpointSlice", "endpointslices", generation=True)
REPLICA_SETS = Kind(
    "apps",
    _V1,
    "ReplicaSet",
    "replicasets",
    True,
    ("rs",),
    _ALL,
    status=True,
    scale=Scale(),
    field_labels=("status.replicas",),
    generation=True,
)
DEPLOYMENTS = Kind(
    "apps", _V1, "Deployment", "deployments", True, ("deploy",), _ALL, status=True, scale=Scale(), generation=True
)
JOBS = Kind(
    "batch", _V1, "Job", "jobs", True, (), _ALL, status=True, field_labels=("status.successful",), generation=True
)
ANALYSIS_RUNS = _argo("AnalysisRun", "analysisruns", "ar")
EXPERIMENTS = _argo("Experiment", "experiments", "exp")
ROLLOUTS = Kind(
    "argoproj.io",
    _ARGO,
    "Rollout",
    "rollouts",
    True,
    ("ro",),
    custom=True,
    status=True,
    scale=Scale(("status", "HPAReplicas"), ("status", "selector")),
    generation=True,
)
INGRESSES = Kind("networking.k8s.io", _V1, "Ingress", "ingresses", True, ("ing",), status=True, generation=True)


def _route(kind: str, *versions: str) -> Kind:
    """A route of the Gateway API, in the versions of its release 1.4."""
    return Kind(
        "gateway.networking.k8s.io",
        versions,
        kind,
        f"{kind.lower()}s",
        True,
        categories=("gateway-api",),
        custom=True,
        status=True,
        generation=True,
    )


HTTP_ROUTES = _route("HTTPRoute", "v1", "v1beta1")
ROUTES = (
    HTTP_ROUTES,
    _route("GRPCRoute", "v1"),
    _route("TCPRoute", "v1alpha2"),
    _route("TLSRoute", "v1alpha2"),
)
VIRTUAL_SERVICES = _istio("VirtualService", "virtualservices", "vs")
TOKEN_REVIEWS = Kind("authentication.k8s.io", _V1, "TokenReview", "tokenreviews", False, virtual=True)
ACCESS_REVIEWS = Kind(
    "authorization.k8s.io", _V1, "SelfSubjectAccessReview", "selfsubjectaccessreviews", False, virtual=True
)


def _rbac(kind: str, *, namespaced: bool) -> Kind:
    return Kind("rbac.authorization.k8s.io", _V1, kind, f"{kind.lower()}s", namespaced)


ROLES = _rbac("Role", namespaced=True)
ROLE_BINDINGS = _rbac("RoleBinding", namespaced=True)
CLUSTER_ROLES = _rbac("ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = _rbac("ClusterRoleBinding", namespaced=False)

KINDS: tuple[Kind, ...] = (
    NAMESPACES,
    PODS,
    SERVICES,
    ENDPOINTS,
    SERVICE_ACCOUNTS,
    RESOURCE_QUOTAS,
    Kind("", _V1, "Secret", "secrets", field_labels=("type",)),
    Kind("", _V1, "ConfigMap", "configmaps", True, ("cm",)),
    Kind("", _V1, "Event", "events", True, ("ev",), field_labels=_EVENT_FIELDS),
    Kind("", _V1, "Node", "nodes", False, ("no",), status=True, field_labels=("spec.unschedulable",)),
    DEPLOYMENTS,
    REPLICA_SETS,
    JOBS,
    Kind("coordination.k8s.io", _V1, "Lease", "leases"),
    ENDPOINT_SLICES,
    VIRTUAL_SERVICES,
    _istio("DestinationRule", "destinationrules", "dr"),
    _istio("Gateway", "gateways", "gw"),
    INGRESSES,
    *ROUTES,
    ROLLOUTS,
    _argo("AnalysisTemplate", "analysistemplates", "at"),
    _argo("ClusterAnalysisTemplate", "clusteranalysistemplates", "cat", namespaced=False),
    ANALYSIS_RUNS,
    EXPERIMENTS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    TOKEN_REVIEWS,
    ACCESS_REVIEWS,
)

_BY_PLURAL = {(kind.group, kind.plural): kind for kind in KINDS}
_BY_KIND = {(kind.group, kind.kind): kind for kind in KINDS}


def find_kind(group: str, plural: str) -> Kind | None:
    """The kind of a resource name as it stands in a URL."""
    return _BY_PLURAL.get((group, plural))


def kind_of(api_version: str, kind: str) -> Kind | None:
    """The kind of an object's or owner reference's `apiVersion` and `kind`."""
    group = api_version.rpartition("/")[0]
    return _BY_KIND.get((group, kind))


def group_versions() -> dict[str, list[str]]:
    """Every API group with its versions, the preferred one first; the core group is not among them."""
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind.group:
            versions = found.setdefault(kind.group, [])
            versions.extend(version for version in kind.versions if version not in versions)
    return found
