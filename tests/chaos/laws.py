"""Judges what the API server stored, write by write, and what was asked of pods meanwhile.

It knows of a Rollout what its objects say: a Deployment `<name>` that has its template, Services `<name>-stable` and
`<name>-canary` or subsets of a DestinationRule `<name>`, a VirtualService `<name>`, and ReplicaSets that it owns. Of
blue-green these are the Services `<name>` and `<name>-preview`. A version is bad when its tag ends with `-bad`.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from activities.kubernetes.client import FENCE_ANNOTATION
from activities.kubernetes.replica_sets import HASH_LABEL, PROMOTED_AT, hash_of
from tests.chaos.manifests import is_switched, resting_routes
from tests.virtual.cluster import tag_of

BAD = "-bad"
GRACE_SECONDS = 2.0  # from weight 0 to the last request that may still arrive
Object = dict[str, Any]


class Line(NamedTuple):
    """One write: when, and what stood after it."""

    at: float
    type: str
    kind: str
    object: Object

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.object["metadata"]["name"])


class Reader:
    """Reads the lines that a journal has grown by."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = 0

    def read(self) -> list[Line]:
        """What is new; the half of a line that a killed server left is passed over once another follows it."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._position)
            text = file.read()
        whole = text.rpartition(b"\n")[0]
        self._position += len(whole) + 1 if whole else 0
        return list(_lines(whole))


def _lines(text: bytes) -> Iterator[Line]:
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        yield Line(found["at"], found["type"], found["kind"], found["object"])


class Request(NamedTuple):
    """One request of a client: when it was sent, to which Rollout, and which version answered with what."""

    at: float
    name: str
    hash: str
    status: int


@dataclass
class Shares:
    """Percent of a Rollout's traffic by hash, over time."""

    times: list[float] = field(default_factory=list)
    values: list[dict[str, int]] = field(default_factory=list)

    def add(self, at: float, shares: dict[str, int]) -> None:
        """What is so from now on."""
        self.times.append(at)
        self.values.append(shares)

    def zero_since(self, hash_: str, at: float) -> float | None:
        """Since when nothing is meant to go to a hash; None while something is, or when it never was."""
        index = bisect_right(self.times, at) - 1
        if index < 0 or self.values[index].get(hash_, 0):
            return None
        while index > 0 and not self.values[index - 1].get(hash_, 0):
            index -= 1
        return self.times[index] if index > 0 else None


class Life:
    """What stands of one Rollout, and what was against a law when it was written."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rollout: Object = {}
        self.deployment: Object = {}  # that lends it its template
        self.sets: dict[str, Object] = {}  # by name
        self.selectors: dict[str, str] = {}  # Service, or Service/subset -> hash
        # Blue-green has none: who asks for its name gets the pods of its active Service.
        self.routes: list[tuple[str, int]] = resting_routes(name) if is_switched(name) else []
        self.fences: dict[tuple[str, str], tuple[int, int]] = {}
        self.shares = Shares()
        self.by_hand: set[str] = set()  # tags that a person promoted past their gates
        self.broken: list[str] = []
        self.aborted_at = 0.0
        self.absences: list[tuple[float, float]] = []  # from a deletion until a version stands again
        self._replicas: list[int] = []

    # -------------------------------------------------------------------------------------------------------- what is

    def share_of(self) -> dict[str, int]:
        """Percent of the traffic by hash of the pods that get it, as routes and Services stand."""
        shares: dict[str, int] = {}
        for host, weight in self.routes:
            hash_ = self.selectors.get(host, "")
            shares[hash_] = shares.get(hash_, 0) + weight
        return shares

    @property
    def asked(self) -> str:
        """Image tag of the version that is asked for, "" where there is no Rollout."""
        return tag_of(self.deployment or self.rollout) if self.rollout else ""

    def tag(self, hash_: str) -> str:
        """Image tag of a version."""
        return next((tag_of(each) for each in self.sets.values() if hash_of(each) == hash_), "")

    @property
    def stable(self) -> str:
        """Hash of the version that was promoted last."""
        promoted = [each for each in self.sets.values() if _annotation(each, PROMOTED_AT)]
        return hash_of(max(promoted, key=lambda each: _annotation(each, PROMOTED_AT))) if promoted else ""

    def canary(self) -> dict[str, int]:
        """The shares of the versions that are not stable."""
        stable = self.stable
        return {hash_: share for hash_, share in self.share_of().items() if hash_ != stable}

    # ------------------------------------------------------------------------------------------------------ one write

    def take(self, line: Line) -> None:
        """Judge a write, and remember it."""
        before, stable = self.share_of(), self.stable
        old = self._replace(line)
        self._judge_fence(line)
        if line.kind == "Rollout":
            self._note_rollout(line, old)
        elif line.kind == "ReplicaSet":
            self._judge_scale(line, old)
        elif line.kind != "Deployment":
            self._judge_traffic(line, before, stable)
        if self.share_of() != before or not self.shares.times:
            self.shares.add(line.at, self.share_of())

    def _replace(self, line: Line) -> Object:
        found, gone = line.object, line.type == "DELETED"
        if line.kind == "Rollout":
            old, self.rollout = self.rollout, {} if gone else found
        elif line.kind == "ReplicaSet":
            old = self.sets.pop(line.name, {})
            if not gone:
                self.sets[line.name] = found
        elif line.kind == "Service":
            old = {}
            self.selectors[line.name] = str((found["spec"].get("selector") or {}).get(HASH_LABEL, ""))
        elif line.kind == "DestinationRule":
            old = {}
            for subset in found["spec"].get("subsets") or []:
                side = f"{found['spec']['host']}/{subset['name']}"
                self.selectors[side] = str((subset.get("labels") or {}).get(HASH_LABEL, ""))
        elif line.kind == "Deployment":
            old, self.deployment = self.deployment, {} if gone else found
        else:
            old = {}
            rows = found["spec"]["http"][0]["route"]
            self.routes = [(_side(row["destination"]), int(row.get("weight", 0))) for row in rows]
        return old

    def _note_rollout(self, line: Line, old: Object) -> None:
        if line.type == "DELETED":
            self.absences.append((line.at, math.inf))
            return
        self._replicas.append(int(line.object["spec"].get("replicas", 1)))
        if given_up(line.object) and not given_up(old):
            self.aborted_at = line.at

    def _judge_fence(self, line: Line) -> None:
        """Whatever carries a fence is never overwritten by what was decided before it (law 3)."""
        text = _annotation(line.object, FENCE_ANNOTATION)
        if not text:
            return
        epoch, _, sequence = text.partition(".")
        now, key = (int(epoch), int(sequence)), (line.kind, line.name)
        last = self.fences.get(key, now)
        if now < last:
            self._break(line, f"law 3: {line.kind} {line.name} went back from fence {last} to {now}")
        self.fences[key] = now

    def _judge_traffic(self, line: Line, before: dict[str, int], stable: str) -> None:
        if self.absences and not self.rollout:
            return  # nobody's version: its pods went with it
        status = self.rollout.get("status") or {}
        told = observed(self)  # otherwise its words are about another spec, which may have begun the version again
        for hash_, share in self.share_of().items():
            if not hash_ or share <= before.get(hash_, 0) or hash_ == stable:
                continue
            available = max([_available(each) for each in self.sets.values() if hash_of(each) == hash_], default=0)
            # A number that was changed a moment ago may not have been read yet: the smaller one is what can be asked.
            needed = math.ceil(share * min(self._replicas[-2:], default=0) / 100)
            if available < needed:
                self._break(line, f"law 1: {share} % to {self._named(hash_)} with {available} of {needed} pods")
            over = given_up(self.rollout) and status.get("currentPodHash") == hash_
            if told and over and not self._is_newer(line):
                self._break(line, f"law 3: {share} % to {self._named(hash_)} after its abort")
            if share == 100 and stable and self.tag(hash_).endswith(BAD) and self.tag(hash_) not in self.by_hand:
                self._break(line, f"law 4: all of the traffic to {self._named(hash_)}, whose gate fails")

    def _is_newer(self, line: Line) -> bool:
        """Whether it was written by a release that began after the abort."""
        epoch = _annotation(line.object, FENCE_ANNOTATION).partition(".")[0] or "0"
        return int(epoch) > self.aborted_at * 1000

    def _judge_scale(self, line: Line, old: Object) -> None:
        if self.rollout and self.absences and _annotation(line.object, PROMOTED_AT):
            (begin, end) = self.absences[-1]
            self.absences[-1] = begin, min(end, line.at)
        if not old or not self.rollout:  # what a Rollout owns goes with it
            return
        wanted = 0 if line.type == "DELETED" else int(line.object["spec"]["replicas"])
        share = self.share_of().get(hash_of(line.object), 0)
        if wanted < int(old["spec"]["replicas"]) and wanted < math.ceil(share * min(self._replicas[-2:]) / 100):
            named = f"{tag_of(line.object)} ({hash_of(line.object)})"
            self._break(line, f"law 2: {named} to {wanted} pods with {share} % of the traffic")

    def is_absent(self, at: float, grace: float) -> bool:
        """Whether nobody could be asked to answer then: the Rollout was deleted, and its pods with it."""
        return any(begin - grace <= at <= end + grace for begin, end in self.absences)

    def _named(self, hash_: str) -> str:
        return f"{self.tag(hash_) or 'a version without ReplicaSet'} ({hash_})"

    def _break(self, line: Line, what: str) -> None:
        self.broken.append(f"{self.name}: {what}, at {line.at:.3f}")


class Judge:
    """The lives of all Rollouts of a journal."""

    def __init__(self) -> None:
        self.lives: dict[str, Life] = {}

    def take(self, lines: Iterable[Line]) -> None:
        """Judge further writes, in their order."""
        for line in lines:
            name = _rollout_of(line)
            if name and (line.type != "STANDS" or self._is_news(name, line)):
                self.lives.setdefault(name, Life(name)).take(line)

    def _is_news(self, name: str, line: Line) -> bool:
        """Whether a start found what no line had told: a write whose line went with the killed server."""
        life = self.lives.get(name)
        if life is None:
            return True
        known = {
            "Rollout": life.rollout,
            "Deployment": life.deployment,
            "ReplicaSet": life.sets.get(line.name, {}),
        }.get(line.kind)
        return known is None or known.get("metadata", {}).get("resourceVersion") != _version(line.object)

    def broken(self) -> list[str]:
        """What was seen to be against a law since the last time."""
        found = [each for life in self.lives.values() for each in life.broken]
        for life in self.lives.values():
            life.broken.clear()
        return found

    def judge_requests(
        self, requests: Sequence[Request], deaf: Sequence[tuple[float, float]], grace: float = GRACE_SECONDS
    ) -> list[str]:
        """What clients met with that they should not have: a 503, or a version that had lost its traffic.

        Args:
            requests: what was sent and answered.
            deaf: the times in which the mesh could not hear of a write, since the API server was away.
            grace: seconds that the mesh has for a write.
        """
        wrong: dict[tuple[str, str], int] = {}
        for request in requests:
            life = self.lives.get(request.name)
            if life is not None and life.is_absent(request.at, grace):  # its pods went with it
                continue
            if request.status == 503:
                key = (request.name, "503")
            else:
                since = life.shares.zero_since(request.hash, request.at) if life and request.hash else None
                if since is None or request.at <= _heard(since, deaf, grace) + grace:
                    continue
                key = (request.name, f"{life.tag(request.hash) if life else ''} ({request.hash}) had no weight")
            wrong[key] = wrong.get(key, 0) + 1
        return [f"{name}: {count} requests: {what}" for (name, what), count in sorted(wrong.items())]


def _heard(since: float, deaf: Sequence[tuple[float, float]], grace: float) -> float:
    """When the mesh can have heard of what was written then."""
    for begin, end in sorted(deaf):
        if begin <= since + grace and end > since:
            since = end
    return since


def _rollout_of(line: Line) -> str:
    if line.kind == "ReplicaSet":
        owners = line.object["metadata"].get("ownerReferences") or []
        return next((str(each["name"]) for each in owners if each["kind"] == "Rollout"), "")
    return line.name.removesuffix("-stable").removesuffix("-canary").removesuffix("-preview")


def _side(destination: Object) -> str:
    return "/".join(str(destination[part]) for part in ("host", "subset") if destination.get(part))


def observed(life: Life) -> bool:
    """Whether the release has taken up what the Rollout's spec says."""
    status, metadata = life.rollout.get("status") or {}, life.rollout.get("metadata") or {}
    return str(status.get("observedGeneration")) == str(metadata.get("generation"))


def given_up(rollout: Object) -> bool:
    """Whether the release said that it aborted its version. The flag alone may be the wish of a person."""
    status = rollout.get("status") or {}
    return bool(status.get("abort")) and status.get("phase") == "Degraded"


def _annotation(found: Object, name: str) -> str:
    return str((found.get("metadata", {}).get("annotations") or {}).get(name, ""))


def _available(found: Object) -> int:
    return int((found.get("status") or {}).get("availableReplicas") or 0)


def _version(found: Object) -> str:
    return str(found["metadata"].get("resourceVersion", ""))
