"""A template as it was written comes out of how it was stored, proved by its hash."""

from __future__ import annotations

import copy
from typing import Any

from sandbox.kubernetes_api.defaults import with_defaults
from sandbox.kubernetes_api.kinds import REPLICA_SETS
from tidegate.rollouts.strip_defaults import as_asked
from tidegate.rollouts.template_hash import pod_template_hash

WRITTEN: dict[str, Any] = {
    "metadata": {"labels": {"app": "checkout"}},
    "spec": {
        "restartPolicy": "Always",
        "containers": [
            {
                "name": "checkout",
                "image": "checkout:1",
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
            }
        ],
    },
}


def stored(written: dict[str, Any]) -> dict[str, Any]:
    replica_set = {"metadata": {"name": "checkout-1"}, "spec": {"template": copy.deepcopy(written)}}
    template: dict[str, Any] = with_defaults(REPLICA_SETS, None, replica_set)["spec"]["template"]
    return template


def other(**container: Any) -> dict[str, Any]:
    found = copy.deepcopy(WRITTEN)
    found["spec"]["containers"][0].update(container)
    return found


def test_another_image() -> None:
    assert stored(WRITTEN) != WRITTEN
    assert as_asked(stored(WRITTEN), other(image="checkout:2"), pod_template_hash(WRITTEN)) == WRITTEN


def test_a_field_that_the_other_version_has_not() -> None:
    written = other(env=[{"name": "A", "value": "1"}])
    assert as_asked(stored(written), WRITTEN, pod_template_hash(written)) == written


def test_what_cannot_be_told_stays_as_it_was_stored() -> None:
    written = other(imagePullPolicy="IfNotPresent")
    found = as_asked(stored(written), WRITTEN, pod_template_hash(written))
    assert found == stored(written)
    assert as_asked(stored(written), written, pod_template_hash(written)) == written
