"""The Rollout object in the cluster, as much of it as tells who changed what."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from tidegate.canary.version import Version, version_of
from tidegate.contract.field_managers import is_own, last_write
from tidegate.contract.payload import Document, Payload
from tidegate.manifests.workload import reference_of

# Fields of `.status` that people patch to speak to a release, through Argo's kubectl plugin or without it.
SPOKEN_FIELDS: Final = ("abort", "promoteFull", "pauseConditions", "controllerPause", "currentStepIndex")
# Those that a release needs not have written first: nobody else sets them, and it takes them away when it begins.
FLAGS: Final = ("abort", "promoteFull")


class RolloutObject(Payload):
    """What a release knows of the object that it is about.

    `generation`, `template_hash` and `step_hash` are of the spec that it goes by, or that it found when it was started
    by another way than the object. `status` holds the `SPOKEN_FIELDS` as the release last wrote them for the version
    that it brings out, and until it did the `FLAGS` as they stood when it was asked for; `version` is the
    resourceVersion of then: what differs in a later one was patched by somebody else. `own_flags` are those that stand
    and that a release wrote, this one or another: they are nobody's word (law 12).
    """

    uid: str = ""  # empty: the release was not asked for by an object, and the cluster holds none
    generation: int = 0
    template_hash: str = ""
    step_hash: str = ""
    version: str = ""
    status: Document = Field(default_factory=dict)
    own_flags: tuple[str, ...] = ()
    set_by: dict[str, str] = Field(default_factory=dict)  # of the flags that stand: who wrote each last, and when

    @property
    def asks_for(self) -> Version:
        """The version in its spec."""
        return Version(self.template_hash, self.step_hash)

    @classmethod
    def of(cls, rollout: Document) -> RolloutObject:
        """An object as it stands; never raises, whatever stands in it."""
        given = rollout.get("metadata")
        metadata: Document = given if isinstance(given, dict) else {}
        generation, asked, status = metadata.get("generation"), version_of(rollout), rollout.get("status")
        flags = [flag for flag in FLAGS if isinstance(status, dict) and status.get(flag) is True]
        return cls(
            uid=str(metadata.get("uid") or ""),
            generation=generation if isinstance(generation, int) else 0,
            template_hash=asked.template_hash,
            step_hash=asked.step_hash,
            version=str(metadata.get("resourceVersion") or ""),
            status=dict.fromkeys(flags, True),
            own_flags=tuple(flag for flag in flags if is_own(rollout, flag)),
            set_by={flag: last_write(rollout, "status", flag) for flag in flags},
        )

    def seen_as(self, live: RolloutObject, *, heard: bool = True) -> RolloutObject:
        """The live object beside which a release begins that was asked for with this one, or without any.

        A release that the object asked for goes by what it was asked with: the live one may be newer, and is then asked
        for by itself; so is what was patched since, but for flags that a release before this one left meanwhile. Where
        the object that asked is gone and another one of its name has come, it goes by the version that was asked for:
        the live one asks for its own. So does one that no release has `heard`: it changed while a request by another
        way was still coming.
        """
        if self.uid == live.uid:
            # A full promotion that stands at the first look was said of no version that was there to be looked at. An
            # abort that was patched since still counts: to heed one too many does no harm.
            known, stood = self._beside(live), {"promoteFull": True} if live.status.get("promoteFull") else {}
            return known.model_copy(update={"status": known.status | stood, "set_by": live.set_by})
        return live.unheard(self.asks_for) if self.uid or not heard else live

    def unheard(self, version: Version) -> RolloutObject:
        """The same beside a release of that version: what it asks for itself is still to be asked for."""
        hashes = {"template_hash": version.template_hash, "step_hash": version.step_hash}
        return self if version == self.asks_for else self.model_copy(update={"generation": 0, **hashes})

    def has_heard(self, live: Document, asked: Document) -> bool:
        """Whether what a live object asks for was asked for before, as this account of it or its `.status` tells.

        It was as well where it is what is `asked` for now, in a manifest without the defaults that an API server fills
        in. The template that a Deployment lends is in each request as it stood then: another one came after that.
        """
        found, status = RolloutObject.of(live), live.get("status")
        wanted = version_of(asked)
        if found.asks_for == wanted:
            return True
        if reference_of(live) is not None and found.template_hash != wanted.template_hash:
            return False
        if self.uid == found.uid and self.generation >= found.generation and self.asks_for == found.asks_for:
            return True
        return isinstance(status, dict) and status.get("observedGeneration") == str(found.generation)

    def _beside(self, stored: RolloutObject) -> RolloutObject:
        """With the flags that a release left in the object."""
        return self.model_copy(update={"status": self.status | dict.fromkeys(stored.own_flags, True)})

    def asked_again(self, asked: RolloutObject) -> RolloutObject:
        """After the same version was asked for with another spec around it."""
        spec = {"generation": asked.generation, "template_hash": asked.template_hash, "step_hash": asked.step_hash}
        return self.model_copy(update=spec)

    def written(self, changes: Document, stored: RolloutObject) -> RolloutObject:
        """After fields of the status were written, `stored` being the object then.

        A newer generation of the same version asks for nothing new, so it counts as observed. A late write of another
        release may have left a flag: it is taken for written, so that it is taken away.
        """
        status = self.status | {field: changes[field] for field in SPOKEN_FIELDS if field in changes}
        update: dict[str, object] = {"version": stored.version, "status": status}
        if stored.uid == self.uid and stored.asks_for == self.asks_for:
            update["generation"] = max(self.generation, stored.generation)
        return self.model_copy(update=update)._beside(stored)
