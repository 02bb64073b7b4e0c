"""Fields of Argo Rollouts that a Tidegate release does not honour: each is rejected by its name.

A new ability of the release is one line less here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import JsonValue

from tidegate.manifests.analysis_template import AnalysisTemplate
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.providers.compare import KEY as COMPARE
from tidegate.manifests.rollout import Rollout

CODE = "unsupported"


class SupportLimit(NamedTuple):
    """A field that is not honoured, as a path with `*` for every item of a list, and its description."""

    path: str
    name: str
    remedy: str = ""


_CANARY = "spec.strategy.canary"
_ROUTING = f"{_CANARY}.trafficRouting"
_STEP = f"{_CANARY}.steps.*"
_ROUTERS = "Istio, NGINX and the Gateway API are supported"

REFUSED: tuple[SupportLimit, ...] = (
    SupportLimit("spec.strategy.blueGreen.antiAffinity", "antiAffinity", "write the affinity into the pod template"),
    SupportLimit(f"{_CANARY}.pingPong", "ping-pong", "use canaryService and stableService"),
    SupportLimit(f"{_CANARY}.antiAffinity", "antiAffinity", "write the affinity into the pod template"),
    SupportLimit(f"{_ROUTING}.alb", "traffic routing by AWS ALB", _ROUTERS),
    SupportLimit(f"{_ROUTING}.smi", "traffic routing by SMI", _ROUTERS),
    SupportLimit(f"{_ROUTING}.ambassador", "traffic routing by Ambassador", _ROUTERS),
    SupportLimit(f"{_ROUTING}.appMesh", "traffic routing by AWS App Mesh", _ROUTERS),
    SupportLimit(f"{_ROUTING}.traefik", "traffic routing by Traefik", _ROUTERS),
    SupportLimit(f"{_ROUTING}.apisix", "traffic routing by Apache APISIX", _ROUTERS),
    SupportLimit(f"{_STEP}.plugin", "step plugin"),
)

PROVIDERS = ("datadog", "job", "prometheus", COMPARE, "web")


def unsupported(rollout: Loaded[Rollout]) -> Iterator[Finding]:
    """Fields of a Rollout that a release does not honour."""
    document = rollout.document
    for limit in REFUSED:
        for path in _given(document.data, limit.path.split(".")):
            message = f"not supported by Tidegate: {limit.name}"
            yield rollout.finding(Severity.ERROR, CODE, path, message, remedy=limit.remedy)


def unsupported_providers(template: Loaded[AnalysisTemplate]) -> Iterator[Finding]:
    """Metrics of a template with an unknown provider."""
    known = ", ".join(PROVIDERS)
    for index, metric in enumerate(template.model.spec.metrics):
        for name in metric.provider.names():
            if name not in PROVIDERS:
                path = ("spec", "metrics", index, "provider", name)
                message = f"not supported by Tidegate: provider {name}"
                yield template.finding(Severity.ERROR, CODE, path, message, remedy=f"supported providers: {known}")


def _given(data: JsonValue, pattern: list[str], path: Path = ()) -> Iterator[Path]:
    """Paths that fit a pattern and hold something: not null, not false, not an empty list."""
    if not pattern:
        if data is not None and data is not False and data != []:
            yield path
    elif pattern[0] == "*":
        for index, item in enumerate(data if isinstance(data, list) else []):
            yield from _given(item, pattern[1:], (*path, index))
    elif isinstance(data, dict) and pattern[0] in data:
        yield from _given(data[pattern[0]], pattern[1:], (*path, pattern[0]))
