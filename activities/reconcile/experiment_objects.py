"""The objects of an experiment as Argo names, labels and annotates them: built from a version's, and read back. Pure.

Source: argo-rollouts, experiments. There is no Experiment object: what it would own belongs to the Rollout, and the
Service of a template to the template's ReplicaSet.
"""

from __future__ import annotations

from copy import deepcopy

from activities.kubernetes import replica_sets
from activities.kubernetes.client import REPLICA_SETS, SERVICES, Object
from activities.kubernetes.ownership import PART_OF_EXPERIMENT
from activities.kubernetes.replica_sets import HASH_LABEL
from tidegate.contract import Reconcile
from tidegate.manifests.network import MANAGED_BY
from tidegate.manifests.steps import ExperimentTemplate
from tidegate.rollouts.experiment_sets import ExperimentSet, WantedSet
from tidegate.rollouts.template_hash import pod_template_hash

TEMPLATE = "experiment.argoproj.io/template-name"
EXPERIMENT = "experiment.argoproj.io/name"
SERVICE = "tidegate.io/experiment-service"  # annotation: name of the Service that a ReplicaSet is to have


def build_set(wanted: WantedSet, template: ExperimentTemplate, base: Object, request: Reconcile) -> Object:
    """The ReplicaSet of a template, with no pods yet, made from `base`, that of the version to which it refers.

    Its pods have a hash of their own, so that neither the version's Services nor another template's find them: the
    name of the ReplicaSet is hashed with them, where Argo hashes the same pods by another algorithm.
    """
    spec = deepcopy(base["spec"])
    pods, extra = spec["template"], template.metadata
    metadata = pods.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **extra.labels, HASH_LABEL: wanted.name}
    if extra.annotations:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **extra.annotations}
    hash_ = pod_template_hash(pods)
    metadata["labels"][HASH_LABEL] = hash_
    selector: Object = dict(template.selector.to_wire() if template.selector is not None else spec["selector"])
    own = {**(selector.get("matchLabels") or {}), **extra.labels, HASH_LABEL: hash_}
    marks = _marks(wanted, request) | ({SERVICE: wanted.service} if wanted.service else {})
    body: Object = {
        "apiVersion": REPLICA_SETS.api_version,
        "kind": REPLICA_SETS.kind,
        "metadata": {
            "name": wanted.name,
            "namespace": request.target.namespace,
            "labels": {HASH_LABEL: hash_, PART_OF_EXPERIMENT: "true"},
            "annotations": marks,
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": {**selector, "matchLabels": own},
            "template": pods,
        },
    }
    if request.owner_uid:
        body["metadata"]["ownerReferences"] = [replica_sets.owner(request.target.name, request.owner_uid)]
    return body


def build_service(wanted: WantedSet, found: Object, stable: Object | None, request: Reconcile) -> Object:
    """The Service in front of the ReplicaSet `found`.

    One that gets a share of the traffic has the ports of the `stable` Service, which are those that requests ask for;
    otherwise, and without such a Service, the ports of the containers, as Argo has it.
    """
    if wanted.weight and stable is not None:
        ports = [{key: port[key] for key in _PORT_FIELDS if key in port} for port in stable["spec"].get("ports") or []]
    else:
        ports = container_ports(found)
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": wanted.service,
            "namespace": request.target.namespace,
            "labels": {PART_OF_EXPERIMENT: "true"},
            "annotations": _marks(wanted, request),
            "ownerReferences": [
                {
                    "apiVersion": REPLICA_SETS.api_version,
                    "kind": REPLICA_SETS.kind,
                    "name": found["metadata"]["name"],
                    "uid": found["metadata"]["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": {"selector": dict(found["spec"]["selector"]["matchLabels"]), "ports": ports},
    }


def belongs(found: Object, rollout: str) -> bool:
    """True when an object is part of an experiment of this Rollout."""
    metadata = found["metadata"]
    marked = (metadata.get("labels") or {}).get(PART_OF_EXPERIMENT) == "true"
    return marked and (metadata.get("annotations") or {}).get(MANAGED_BY) == rollout


def service_of(found: Object) -> str:
    """Name of the Service that a ReplicaSet is to have, empty without one."""
    return str((found["metadata"].get("annotations") or {}).get(SERVICE, ""))


def standing(found: Object, *, exposed: bool) -> ExperimentSet:
    """A ReplicaSet as the rules see it; `exposed` says whether its Service is there."""
    state = replica_sets.state(found)
    return ExperimentSet(
        name=state.name,
        template=str((found["metadata"].get("annotations") or {}).get(TEMPLATE, "")),
        hash=state.hash,
        desired=state.desired,
        current=state.current,
        available=state.available,
        service=service_of(found) if exposed else "",
        scale_down_at=state.scale_down_at,
    )


_PORT_FIELDS = ("name", "port", "targetPort", "protocol", "appProtocol")  # no nodePort: it is one Service's own


def container_ports(found: Object) -> list[Object]:
    """Ports of a Service for all that the containers of a ReplicaSet name, as Argo has it."""
    containers = found["spec"]["template"]["spec"].get("containers") or []
    return [
        {
            "port": port["containerPort"],
            "targetPort": port["containerPort"],
            "protocol": port.get("protocol", "TCP"),
            **({"name": port["name"]} if port.get("name") else {}),
        }
        for container in containers
        for port in container.get("ports") or []
    ]


def _marks(wanted: WantedSet, request: Reconcile) -> dict[str, str]:
    experiment = wanted.name.removesuffix(f"-{wanted.template}")
    return {MANAGED_BY: request.target.name, EXPERIMENT: experiment, TEMPLATE: wanted.template}
