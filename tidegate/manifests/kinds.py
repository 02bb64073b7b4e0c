"""Kinds of object that are read, ignored and rejected."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from tidegate.manifests.analysis_template import AnalysisTemplate
from tidegate.manifests.decode import nearest
from tidegate.manifests.deployment import Deployment
from tidegate.manifests.experiment import Experiment
from tidegate.manifests.gateway_api import KINDS as ROUTE_KINDS
from tidegate.manifests.network import DestinationRule, RouterObject, Service, VirtualService
from tidegate.manifests.rollout import Rollout
from tidegate.manifests.source import Document

ARGO_GROUP = "argoproj.io"
ARGO_VERSION = "argoproj.io/v1alpha1"
REVISION = "rollout.argoproj.io/revision"  # annotation of what a release makes: its number
ISTIO_GROUP = "networking.istio.io"
GATEWAY_GROUP = "gateway.networking.k8s.io"
KINDS: Mapping[tuple[str, str], type[BaseModel]] = {
    (ARGO_GROUP, "Rollout"): Rollout,
    (ARGO_GROUP, "AnalysisTemplate"): AnalysisTemplate,
    (ARGO_GROUP, "ClusterAnalysisTemplate"): AnalysisTemplate,
    (ARGO_GROUP, "Experiment"): Experiment,
    ("", "Service"): Service,
    ("apps", "Deployment"): Deployment,
    (ISTIO_GROUP, "VirtualService"): VirtualService,
    (ISTIO_GROUP, "DestinationRule"): DestinationRule,
    ("networking.k8s.io", "Ingress"): RouterObject,
    **{(GATEWAY_GROUP, kind): RouterObject for kind in ROUTE_KINDS},
}
_KNOWN = f"known kinds: {', '.join(sorted(kind for _, kind in KINDS))}"
_REFUSED: Mapping[tuple[str, str], str] = {
    (ARGO_GROUP, "AnalysisRun"): "an analysis run is started by a release, from its templates",
}
_MISSPELT = 0.85


def model_for(document: Document) -> type[BaseModel] | None:
    """The model that reads a document; None for an object that a release neither needs nor changes.

    Raises ManifestError for a document that is no Kubernetes object, for a known kind in an unknown version, and for a
    misspelt kind. The group of Argo Rollouts has kinds of other projects, too.
    """
    if not isinstance(document.data, dict):
        raise document.refused("no-object", (), "a document must be an object with apiVersion and kind")
    api_version, kind = (_text(document, name) for name in ("apiVersion", "kind"))
    group = api_version.rpartition("/")[0]
    if reason := _REFUSED.get((group, kind)):
        raise document.refused("refused-kind", ("kind",), "this kind is not accepted", value=kind, remedy=reason)
    if (group, kind) in KINDS:
        if group == ARGO_GROUP and api_version != ARGO_VERSION:
            raise document.refused(
                "unknown-version", ("apiVersion",), "unknown version", value=api_version, remedy=f"write {ARGO_VERSION}"
            )
        return KINDS[group, kind]
    _refuse_misspelt(document, api_version, group, kind)
    return None


def _refuse_misspelt(document: Document, api_version: str, group: str, kind: str) -> None:
    owners = {known: owner for owner, known in KINDS}
    meant = nearest(kind, [known for known, owner in owners.items() if owner in (group, ARGO_GROUP)], _MISSPELT)
    if owners.get(kind) == ARGO_GROUP:
        message = f"{kind} is a kind of {ARGO_VERSION}"
        raise document.refused(
            "unknown-version", ("apiVersion",), message, value=api_version, remedy=f"write {ARGO_VERSION}"
        )
    if meant:
        remedy = f"did you mean {meant}? {_KNOWN}"
        raise document.refused("unknown-kind", ("kind",), "unknown kind", value=kind, remedy=remedy)


def _text(document: Document, name: str) -> str:
    value = document.value((name,))
    if not isinstance(value, str) or not value:
        raise document.refused(
            "no-kind", (name,), "every document needs apiVersion and kind", value=value, remedy=_KNOWN
        )
    return value
