"""Which ReplicaSet a version has: the one that stands with its template, or a new one. Pure.

Source: argo-rollouts, utils/replicaset (FindNewReplicaSet): by hash first, then by template without defaults. Argo does
not look for two templates with one hash there; here the count that makes the hash another one goes up (sync.go,
createNewReplicaSet).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.manifests.pod_template.defaults import with_defaults
from tidegate.rollouts.template_hash import pod_template_hash, template_hash

Template = Mapping[str, Any]


class Candidate(NamedTuple):
    """A ReplicaSet of the Rollout: the hash in its label, and the template without what was put on it since."""

    hash: str
    template: Template


class Adopted(NamedTuple):
    """Label of a version's ReplicaSet, and the `status.collisionCount` with which it was made; None: with none."""

    hash: str
    collision_count: int | None


def adopt(template: Template, made: Sequence[Candidate], stable_hash: str, collision_count: int | None) -> Adopted:
    """The ReplicaSet of `template` among those that were `made`, or the hash under which a new one is to be made.

    Where several have the template, the stable one is taken, then the one with today's hash, then the first.
    """
    own, meaning = pod_template_hash(template, collision_count), template_hash(template)
    alike = [each.hash for each in made if template_hash(each.template) == meaning]
    for hash_ in (stable_hash, own, *alike):
        if hash_ in alike:
            return Adopted(hash_, collision_count)
    # A webhook may have put a sidecar into what was made: that is still this version.
    if any(each.hash == own and _is_within(with_defaults(template), with_defaults(each.template)) for each in made):
        return Adopted(own, collision_count)
    taken = {each.hash for each in made}
    while own in taken:
        collision_count = (collision_count or 0) + 1
        own = pod_template_hash(template, collision_count)
    return Adopted(own, collision_count)


def _is_within(desired: Any, stored: Any) -> bool:
    """True when all that was asked for stands there."""
    if isinstance(desired, Mapping):
        return isinstance(stored, Mapping) and all(_is_within(each, stored.get(name)) for name, each in desired.items())
    if isinstance(desired, list):
        return isinstance(stored, list) and all(any(_is_within(each, other) for other in stored) for each in desired)
    return bool(desired == stored)
