"""Random lives of a Rollout: what may happen to it, and when; and what the machinery around it loses meanwhile."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tests.laws.shapes import TAGS, Shape

Event = tuple[str, Any]

# Requests that the API server turns down. What it says to a look or to a write of the Rollout stands for all of them.
REQUESTS = (
    ("patch", "replicasets"),
    ("create", "replicasets"),
    ("patch", "virtualservices"),
    ("patch", "destinationrules"),
    ("patch", "services"),
    ("patch", "rollouts"),
    ("get", "virtualservices"),
    ("list", "replicasets"),
    ("create", "events"),
    ("create", "analysisruns"),
)

# How probable it is that something goes wrong, each time that it could.
CALM: dict[str, float] = {}
UNREST: dict[str, float] = {
    "forgotten": 0.1,  # a worker no longer has a run in memory
    "slow": 0.03,
    "stale": 0.15,  # the watcher hears of a change long after it
    "long history": 0.02,
}
STORM: dict[str, float] = {
    **UNREST,
    "workflow task lost": 0.02,
    "attempt lost": 0.02,
    "answer lost": 0.02,
    "request lost": 0.004,
    "request late": 0.004,
    "no answer": 0.004,
    "answer cut off": 0.01,
    "call lost": 0.01,
    "call's answer lost": 0.01,
    "watch cut off": 0.01,
    "measurement fails": 0.05,
}
WEATHERS = {"calm": CALM, "unrest": UNREST, "storm": STORM}


@dataclass(frozen=True)
class Schedule:
    """One life. `seed` decides all that is left to chance while it is played."""

    seed: int
    shape: Shape
    events: tuple[tuple[int, Event], ...]  # seconds to wait before each
    weather: str = "calm"
    watchers: int = 1

    @classmethod
    def drawn(cls, seed: int, *, blue_green: bool = False) -> Schedule:
        """The life of that number, of a canary or of blue-green."""
        chance = random.Random(seed)
        shape = Shape.drawn_blue_green(chance) if blue_green else Shape.drawn(chance)
        weather = chance.choices(["calm", "unrest", "storm"], [3, 4, 3])[0]
        events = tuple((chance.choice(_WAITS), _event(chance, shape)) for _ in range(chance.randint(1, 7)))
        return cls(seed, shape, events, weather, watchers=2 if chance.random() < 0.1 else 1)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Schedule:
        """One that was spelled out as `as_json` does."""
        events = tuple(
            (wait, (what, tuple(value) if isinstance(value, list) else value))
            for wait, what, value in document["events"]
        )
        return cls(document["seed"], Shape(**document["shape"]), events, document["weather"], document["watchers"])

    def with_router(self, router: str) -> Schedule | None:
        """The same life of a Rollout with another router; None for one that has none, or steps that it cannot take."""
        if self.shape.routing != "host" or (router == "ingress" and self.shape.steps == "managed"):
            return None
        events = tuple(each for each in self.events if each[1][0] != "somebody routes")
        return replace(self, shape=replace(self.shape, routing=router), events=events)

    def as_json(self) -> dict[str, Any]:
        """All of it, so that it stays what it is when other lives are drawn from the same number."""
        events = [[wait, what, value] for wait, (what, value) in self.events]
        rest = {"weather": self.weather, "watchers": self.watchers, "events": events}
        return {"seed": self.seed, "shape": asdict(self.shape), **rest}

    @property
    def is_undisturbed(self) -> bool:
        """Whether every process and every request does what it should, so that nothing is late."""
        return self.weather == "calm" and not any(what in _DISTURBING for _, (what, _) in self.events)

    def without(self, index: int) -> Schedule:
        """The same with one event less."""
        return replace(self, events=self.events[:index] + self.events[index + 1 :])

    def __str__(self) -> str:
        events = "".join(
            f"\n  {wait:>3} s  {what} {value if value is not True else ''}" for wait, (what, value) in self.events
        )
        return f"Schedule {self.seed}: {self.weather}, {self.watchers} watcher(s), {self.shape}{events}"


_DISTURBING = ("requests fail", "cut off", "workers go", "watchers go", "api away", "temporal away")
_WAITS = (0, 1, 1, 2, 3, 5, 8, 13, 20, 30, 40)


@dataclass(frozen=True)
class _Kind:
    """A kind of event: how often, and with which values."""

    weight: int
    values: tuple[Any, ...] = (True,)
    only: frozenset[str] = field(default_factory=frozenset)  # kinds of routing, or all


_KINDS: dict[str, _Kind] = {
    "set image": _Kind(30, TAGS),
    "abort": _Kind(4),
    "retry": _Kind(4),
    "pause": _Kind(3),
    "unpause": _Kind(3),
    "promote": _Kind(8, (True, "full")),
    "set replicas": _Kind(4, tuple(range(1, 9))),
    "set steps": _Kind(3, ("gated", "short", "ungated"), frozenset({"host", "subset", "none"})),
    "pods fail": _Kind(5, ("v1", "v2", "v4")),
    "pods heal": _Kind(2),
    "say": _Kind(8, ("abort", "promote", "promote full", "pause", "resume")),
    "signal": _Kind(5, ("abort", "promote", "pause", "resume", "nonsense", "abort twice")),
    "ci": _Kind(5, TAGS[:4]),
    "ci twice": _Kind(2, TAGS[:4]),
    "undo": _Kind(4),
    "terminate": _Kind(3),
    "cancel": _Kind(2),
    "delete": _Kind(2, (0, 3, 25)),
    "requests fail": _Kind(
        8, tuple((*kind, code, times) for kind in REQUESTS for code in (409, 503) for times in (1, 3))
    ),
    "somebody routes": _Kind(4, (0, 7, 50, 100), frozenset({"host", "subset"})),
    "somebody takes the hash": _Kind(4, ("active", "preview"), frozenset({"active"})),
    "cut off": _Kind(6, (1, 2, 3, 4, 5)),  # the worker of the cluster goes after so many writes
    "workers go": _Kind(4),
    "watchers go": _Kind(2, (0, 5, 20)),  # and come back after so many seconds
    "api away": _Kind(3, (2, 12, 40)),
    "temporal away": _Kind(2, (2, 12, 40)),
}


def _event(chance: random.Random, shape: Shape) -> Event:
    kinds = {name: kind for name, kind in _KINDS.items() if not kind.only or shape.routing in kind.only}
    name = chance.choices(list(kinds), [kind.weight for kind in kinds.values()])[0]
    return name, chance.choice(kinds[name].values)
