"""A version has the ReplicaSet that stands with its template, whatever hash it was made under."""

from __future__ import annotations

import copy
from typing import Any

from tidegate.manifests.pod_template.defaults import with_defaults
from tidegate.rollouts.adoption import Adopted, Candidate, adopt
from tidegate.rollouts.template_hash import pod_template_hash


def template(image: str = "shop:1", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "shop", "image": image, "ports": [{"containerPort": 80}]}]
    return {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": containers, **spec}}


OWN = pod_template_hash(template())


def test_a_new_template_gets_its_own_hash() -> None:
    assert adopt(template(), [], "", None) == Adopted(OWN, None)
    assert adopt(template(), [Candidate("other", template("shop:2"))], "other", None) == Adopted(OWN, None)


def test_the_collision_count_of_the_object_is_part_of_it() -> None:
    assert adopt(template(), [], "", 2) == Adopted(pod_template_hash(template(), 2), 2)


def test_what_stands_is_adopted_with_the_hash_that_it_has() -> None:
    stands = [Candidate("other", template("shop:2")), Candidate("6d5f8c9b74", with_defaults(template()))]
    assert adopt(template(), stands, "", None) == Adopted("6d5f8c9b74", None)


def test_of_several_with_the_template_the_stable_one_is_taken() -> None:
    stands = [
        Candidate("older", template()),
        Candidate(OWN, template()),
        Candidate("stable", with_defaults(template())),
    ]
    assert adopt(template(), stands, "stable", None).hash == "stable"
    assert adopt(template(), stands, "another", None).hash == OWN
    assert adopt(template(), [*stands[:1], *stands[2:]], "", None).hash == "older"


def test_what_a_webhook_put_beside_it_is_no_other_version() -> None:
    injected = with_defaults(template())
    injected["spec"]["containers"] = [{"name": "proxy", "image": "proxy:1"}, *injected["spec"]["containers"]]
    assert adopt(template(), [Candidate(OWN, injected)], "", None) == Adopted(OWN, None)


def test_another_template_with_its_hash_makes_the_hash_another_one() -> None:
    stands = [Candidate(OWN, template("shop:9"))]
    assert adopt(template(), stands, OWN, None) == Adopted(pod_template_hash(template(), 1), 1)
    stands.append(Candidate(pod_template_hash(template(), 1), template("shop:8")))
    assert adopt(template(), stands, "", None) == Adopted(pod_template_hash(template(), 2), 2)


def test_a_field_that_was_taken_out_makes_another_version() -> None:
    before = copy.deepcopy(template())
    before["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
    stands = [Candidate(pod_template_hash(before), before)]
    assert adopt(template(), stands, stands[0].hash, None) == Adopted(OWN, None)
