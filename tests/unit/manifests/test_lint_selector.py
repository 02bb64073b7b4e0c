"""A selector that would leave running pods behind is refused, as Kubernetes refuses it for a Deployment."""

from __future__ import annotations

import json

import pytest

from tidegate.manifests.documents import loads
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import check_release, lint

SERVICES = {"canary": {"steps": [{"setWeight": 10}]}}
STANDS = {"shop-abc": {"app": "shop", "tier": "web", "rollouts-pod-template-hash": "abc"}}


def rollout(selector: dict[str, object], labels: dict[str, str], /, **status: object) -> dict[str, object]:
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "shop", "image": "shop:1"}]}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop"},
        "spec": {"selector": selector, "template": template, "strategy": SERVICES},
        **({"status": status} if status else {}),
    }


def rejections(document: dict[str, object]) -> list[str]:
    found = lint(loads(json.dumps(document), "live.json"))
    return [str(each) for each in found if each.code == "selector-changed" and each.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("counted", "refused"),
    [
        ("app=shop", True),
        ("app=other,tier=web", True),
        ("app=shop,tier=web", False),
        ("app=shop,canary in (a,b),tier=web", False),
    ],
)
def test_lint_refuses_what_leaves_the_pods_of_a_live_object_behind(counted: str, refused: bool) -> None:
    labels = {"app": "shop", "tier": "web"}
    found = rejections(rollout({"matchLabels": labels}, labels, selector=counted, HPAReplicas=4))
    assert bool(found) is refused
    for each in found:
        assert "live.json:1" in each
        assert 'spec.selector: "app=shop,tier=web"' in each
        assert counted in each
        assert "another name" in each
    assert rejections(rollout({"matchLabels": labels}, labels, selector=counted, HPAReplicas=0)) == []


@pytest.mark.parametrize(
    ("selector", "refused"),
    [
        ({"matchLabels": {"app": "shop"}}, False),
        ({"matchLabels": {"app": "shop", "zone": "a"}}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "api"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
    ],
)
def test_a_release_is_refused_by_the_pods_that_stand(selector: dict[str, object], refused: bool) -> None:
    labels = {"app": "shop", "zone": "a", "tier": "web" if not refused else "api"}
    found = check_release(rollout(selector, labels), [], {}, {}, standing=STANDS)
    told = [str(each) for each in found if each.code == "selector-changed"]
    assert bool(told) is refused
    assert all("shop-abc" in each for each in told)
