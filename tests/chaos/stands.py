"""How a Rollout stands at the end of a round, against what was asked for."""

from __future__ import annotations

import yaml

from activities.kubernetes.replica_sets import hash_of
from sandbox.git import GitRepository
from tests.chaos.laws import BAD, Life, observed
from tests.chaos.manifests import REPLICAS, image_tag, manifest_path, sides
from tests.chaos.scene import Outcome, Wanted
from tests.virtual.cluster import tag_of


def in_git(repository: GitRepository, life: Life) -> list[str]:
    """What is wrong with Git: it names the version that is stable, whatever was tried. Blocks."""
    said = image_tag(yaml.safe_load_all(repository.file(manifest_path(life.name))))
    stable = life.tag(life.stable)
    return [] if said == stable else [f"Git asks for {said} while {stable} is stable"]


def complaints(life: Life, wanted: Wanted) -> list[str]:
    """What is not as it has to be; nothing when the Rollout stands as one of the outcomes says."""
    if life.asked != wanted.tag:
        return [f"the Rollout asks for {life.asked or 'nothing'}"]
    each = {outcome: _as(life, wanted.tag, outcome) for outcome in wanted.outcomes}
    return [] if not all(each.values()) else min(each.values(), key=len)


def _as(life: Life, tag: str, outcome: Outcome) -> list[str]:
    status = life.rollout.get("status") or {}
    stable = life.stable
    wrong = [
        *_phase(life, outcome, status),
        *_traffic(life, stable),
        *_pods(life, stable),
    ]
    if outcome is Outcome.HEALTHY and life.tag(stable) != tag:
        wrong.append(f"{life.tag(stable)} is stable")
    if outcome is Outcome.ABORTED and life.tag(stable) == tag:
        wrong.append(f"{tag} became stable")
    if life.tag(stable).endswith(BAD) and life.tag(stable) not in life.by_hand:
        wrong.append(f"{life.tag(stable)} is stable, whose gate fails")
    return wrong


def _phase(life: Life, outcome: Outcome, status: dict[str, object]) -> list[str]:
    phase = "Healthy" if outcome is Outcome.HEALTHY else "Degraded"
    wrong = [] if status.get("phase") == phase else [f"phase {status.get('phase')}: {status.get('message', '')}"]
    if bool(status.get("abort")) != (outcome is Outcome.ABORTED):
        wrong.append(f"status.abort is {status.get('abort', False)}")
    if not observed(life):
        wrong.append(f"generation {status.get('observedGeneration')} was observed last")
    lent = life.deployment.get("metadata", {}).get("generation")
    if lent is not None and str(status.get("workloadObservedGeneration")) != str(lent):
        wrong.append(f"generation {status.get('workloadObservedGeneration')} of the Deployment was observed last")
    return wrong


def _traffic(life: Life, stable: str) -> list[str]:
    shares = {hash_: share for hash_, share in life.share_of().items() if share}
    wrong = [] if shares == {stable: 100} else [f"traffic: { ({life.tag(h) or h: s for h, s in shares.items()}) }"]
    if life.routes[:1] != [(sides(life.name)[0], 100)]:
        wrong.append(f"routes: {life.routes}")
    return wrong


def _pods(life: Life, stable: str) -> list[str]:
    wrong = []
    for found in life.sets.values():
        pods = int(found["spec"]["replicas"])
        if pods != (REPLICAS if hash_of(found) == stable else 0):
            wrong.append(f"{tag_of(found)} has {pods} pods")
    return wrong
