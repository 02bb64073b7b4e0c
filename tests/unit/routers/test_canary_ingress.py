"""What a canary Ingress of NGINX is, made from the stable one."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.manifests.rollout import Nginx
from tidegate.routers.nginx import (
    IngressError,
    canary_annotations,
    canary_name,
    canary_spec,
    weight_in_force,
)

PREFIX = "nginx.ingress.kubernetes.io"


def path(service: str, at: str = "/") -> dict[str, Any]:
    return {"path": at, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}


def ingress(*rules: dict[str, Any], **annotations: str) -> dict[str, Any]:
    spec = {"ingressClassName": "nginx", "tls": [{"hosts": ["a"]}], "defaultBackend": {"service": {"name": "x"}}}
    return {"metadata": {"name": "shop", "annotations": annotations}, "spec": {**spec, "rules": list(rules)}}


def test_only_paths_to_stable_are_copied() -> None:
    stable = ingress(
        {"host": "a", "http": {"paths": [path("stable"), path("other", "/other"), path("stable", "/deep")]}},
        {"host": "b", "http": {"paths": [path("other")]}},
        {"host": "c"},
    )
    assert canary_spec(stable, "stable", "canary") == {
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["a"]}],
        "rules": [{"host": "a", "http": {"paths": [path("canary"), path("canary", "/deep")]}}],
    }


def test_an_ingress_without_a_path_to_stable_has_no_canary() -> None:
    with pytest.raises(IngressError, match="ingress `shop` has no rules using service stable backend"):
        canary_spec(ingress({"host": "a", "http": {"paths": [path("other")]}}), "stable", "canary")


def test_keys_get_the_prefix_where_they_have_none() -> None:
    nginx = Nginx.model_validate(
        {
            "additionalIngressAnnotations": {"canary-by-header": "X", "example.com/a": "1"},
            "canaryIngressAnnotations": {f"{PREFIX}/canary-by-header": "Z", f"{PREFIX}/canary-weight": "7"},
        }
    )
    stable = ingress(**{"kubernetes.io/ingress.class": "nginx", f"{PREFIX}/rewrite-target": "/"})
    assert canary_annotations(stable, nginx, 20, 1000) == {
        "kubernetes.io/ingress.class": "nginx",
        f"{PREFIX}/canary-by-header": "Z",
        "example.com/a": "1",
        f"{PREFIX}/canary": "true",
        f"{PREFIX}/canary-weight": "20",
        f"{PREFIX}/canary-weight-total": "1000",
    }


def test_a_name_is_cut_before_its_suffix() -> None:
    assert canary_name("demo", "shop") == "demo-shop-canary"
    long = canary_name("demo", "x" * 300)
    assert (len(long), long.endswith("x-canary")) == (253, True)


def test_a_weight_is_one_of_a_canary_alone() -> None:
    nginx = Nginx()
    found = ingress(**{f"{PREFIX}/canary": "true", f"{PREFIX}/canary-weight": "20"})
    assert weight_in_force(found, nginx) == 20
    assert weight_in_force(ingress(**{f"{PREFIX}/canary-weight": "20"}), nginx) == 0
    assert weight_in_force(ingress(**{f"{PREFIX}/canary": "true", f"{PREFIX}/canary-weight": "many"}), nginx) == 0
