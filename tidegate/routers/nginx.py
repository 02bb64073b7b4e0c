"""The canary Ingress of NGINX: what it is for a weight, made from the stable Ingress. Pure.

Source: argo-rollouts, rollout/trafficrouting/nginx, and the annotations of ingress-nginx. Only paths to the stable
Service are copied: other paths of the same host may have a canary Ingress of another Rollout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.manifests.rollout import Nginx

Object = dict[str, Any]
PREFIX: Final = "nginx.ingress.kubernetes.io"
CLASS: Final = "kubernetes.io/ingress.class"
_SUFFIX: Final = "-canary"
_LONGEST: Final = 253


class IngressError(ValueError):
    """An Ingress that a release cannot make a canary of; the text is Argo's."""


def canary_name(rollout: str, stable_ingress: str) -> str:
    """Name of the canary Ingress, cut before its suffix to what a name may be long."""
    return f"{rollout}-{stable_ingress}"[: _LONGEST - len(_SUFFIX)] + _SUFFIX


def prefix_of(nginx: Nginx) -> str:
    """Prefix of the annotations."""
    return nginx.annotation_prefix or PREFIX


def canary_spec(stable: Mapping[str, Any], stable_service: str, canary_service: str) -> Object:
    """Spec of the canary Ingress. Raises IngressError where no path of the stable one leads to the stable Service."""
    spec = stable.get("spec") or {}
    rules = [
        {**rule, "http": {**rule["http"], "paths": paths}}
        for rule in spec.get("rules") or []
        if (paths := _paths(rule, stable_service, canary_service))
    ]
    if not rules:
        name = (stable.get("metadata") or {}).get("name", "")
        raise IngressError(f"ingress `{name}` has no rules using service {stable_service} backend")
    return {**{key: spec[key] for key in ("ingressClassName", "tls") if spec.get(key)}, "rules": rules}


def canary_annotations(stable: Mapping[str, Any], nginx: Nginx, weight: int, max_weight: int | None) -> dict[str, str]:
    """Annotations of the canary Ingress; those that say its weight count in any case.

    A key without a domain gets the prefix.
    """
    prefix = prefix_of(nginx)
    found = (stable.get("metadata") or {}).get("annotations") or {}
    return {
        **({CLASS: str(found[CLASS])} if CLASS in found else {}),
        **{
            (key if "/" in key else f"{prefix}/{key}"): value
            for key, value in nginx.additional_ingress_annotations.items()
        },
        **nginx.canary_ingress_annotations,
        **weight_annotations(nginx, weight, max_weight),
    }


def weight_annotations(nginx: Nginx, weight: int, max_weight: int | None) -> dict[str, str]:
    """Annotations that say a weight, and of which whole it is a part where that is not 100."""
    prefix = prefix_of(nginx)
    total = {} if max_weight is None else {f"{prefix}/canary-weight-total": str(max_weight)}
    return {f"{prefix}/canary": "true", f"{prefix}/canary-weight": str(weight), **total}


def weight_in_force(canary: Mapping[str, Any], nginx: Nginx) -> int:
    """Weight by the annotations of a canary Ingress; 0 where it is none, or says none."""
    prefix = prefix_of(nginx)
    annotations = (canary.get("metadata") or {}).get("annotations") or {}
    text = str(annotations.get(f"{prefix}/canary-weight", ""))
    return int(text) if annotations.get(f"{prefix}/canary") == "true" and text.isdecimal() else 0


def _paths(rule: Mapping[str, Any], stable: str, canary: str) -> list[Object]:
    """Paths of a rule that lead to the stable Service, leading to the canary one."""
    found: list[Object] = []
    for path in (rule.get("http") or {}).get("paths") or []:
        service = (path.get("backend") or {}).get("service") or {}
        if service.get("name") == stable:
            found.append({**path, "backend": {**path["backend"], "service": {**service, "name": canary}}})
    return found
