"""The fields of the Rollout object by which a release tells its own writes from those of others."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from tidegate.contract.field_managers import is_own, last_write
from tidegate.contract.payload import Document, Payload
from tidegate.manifests.workload import reference_of
from tidegate.rollouts.version import Version, version_of

# Fields of `.status` that operators patch as requests to a release, through Argo's kubectl plugin or without it.
REQUEST_FIELDS: Final = ("abort", "promoteFull", "pauseConditions", "controllerPause", "currentStepIndex")
# Those that count without a write of the release before: no other writer sets them, and it removes them when it starts.
FLAGS: Final = ("abort", "promoteFull")


class RolloutObject(Payload):
    """The object that a release follows, as the release last read or wrote it."""

    uid: str = ""  # empty: the release was not requested by an object, and the cluster has none
    # Of the spec that the release follows, or found when it was requested by another way than the object.
    generation: int = 0
    template_hash: str = ""
    step_hash: str = ""
    resource_version: str = ""  # of the object with `status`: a difference in a later one is a patch of an operator
    # `REQUEST_FIELDS` as the release last wrote them for its version; before that, the `FLAGS` of the request.
    status: Document = Field(default_factory=dict)
    own_flags: tuple[str, ...] = ()  # set flags that some release wrote: they are no request (law 12)
    set_by: dict[str, str] = Field(default_factory=dict)  # last writer and time of each set flag

    @property
    def version(self) -> Version:
        """The version in its spec."""
        return Version(self.template_hash, self.step_hash)

    @classmethod
    def of(cls, rollout: Document) -> RolloutObject:
        """The fields of an object; never raises, whatever is in it."""
        given = rollout.get("metadata")
        metadata: Document = given if isinstance(given, dict) else {}
        generation, version, status = metadata.get("generation"), version_of(rollout), rollout.get("status")
        flags = [flag for flag in FLAGS if isinstance(status, dict) and status.get(flag) is True]
        return cls(
            uid=str(metadata.get("uid") or ""),
            generation=generation if isinstance(generation, int) else 0,
            template_hash=version.template_hash,
            step_hash=version.step_hash,
            resource_version=str(metadata.get("resourceVersion") or ""),
            status=dict.fromkeys(flags, True),
            own_flags=tuple(flag for flag in flags if is_own(rollout, flag)),
            set_by={flag: last_write(rollout, "status", flag) for flag in flags},
        )

    def seen_as(self, live: RolloutObject, *, requested: bool = True) -> RolloutObject:
        """The fields for the live object, where the release was requested with this one, or without any.

        A release that the object requested follows the object of the request. A newer spec is a request of its own. So
        are later patches, but for flags that an earlier release left meanwhile.

        A request counts for its own version where the object was deleted and created anew: the live one requests its
        own. The same holds where no release has `requested` the live one's version: the object changed while a request
        by another way was on its way.
        """
        if self.uid == live.uid:
            # A full promotion that is set at the first read was for no version of this release. An abort that was
            # patched since still counts: one abort too many does no harm.
            known, flag = self._beside(live), {"promoteFull": True} if live.status.get("promoteFull") else {}
            return known.model_copy(update={"status": known.status | flag, "set_by": live.set_by})
        return live.for_version(self.version) if self.uid or not requested else live

    def for_version(self, version: Version) -> RolloutObject:
        """The object beside a release of that version; another version in its spec is still to be requested."""
        hashes = {"template_hash": version.template_hash, "step_hash": version.step_hash}
        return self if version == self.version else self.model_copy(update={"generation": 0, **hashes})

    def has_requested(self, live: Document, manifest: Document) -> bool:
        """True when the live object's version was requested before, by this record of it or by its `.status`.

        It also was when it is the version of `manifest`, which may lack the defaults of an API server. A request holds
        the template of a Deployment as of then: another template came after it.
        """
        found, status = RolloutObject.of(live), live.get("status")
        wanted = version_of(manifest)
        if found.version == wanted:
            return True
        if reference_of(live) is not None and found.template_hash != wanted.template_hash:
            return False
        if self.uid == found.uid and self.generation >= found.generation and self.version == found.version:
            return True
        return isinstance(status, dict) and status.get("observedGeneration") == str(found.generation)

    def _beside(self, stored: RolloutObject) -> RolloutObject:
        """The object with the flags that a release left in it."""
        return self.model_copy(update={"status": self.status | dict.fromkeys(stored.own_flags, True)})

    def requested_again(self, rollout: RolloutObject) -> RolloutObject:
        """The object after the same version was requested with another spec around it."""
        spec = {
            "generation": rollout.generation,
            "template_hash": rollout.template_hash,
            "step_hash": rollout.step_hash,
        }
        return self.model_copy(update=spec)

    def written(self, changes: Document, stored: RolloutObject) -> RolloutObject:
        """The object after fields of the status were written, `stored` being the object then.

        A newer generation of the same version requests nothing new, so it counts as observed. A late write of another
        release may have left a flag. It counts as written, so that it is removed.
        """
        status = self.status | {field: changes[field] for field in REQUEST_FIELDS if field in changes}
        update: dict[str, object] = {"resource_version": stored.resource_version, "status": status}
        if stored.uid == self.uid and stored.version == self.version:
            update["generation"] = max(self.generation, stored.generation)
        return self.model_copy(update=update)._beside(stored)
