"""The Rollout's `.status` as one version of a release writes it: which fields are still to be written."""

from __future__ import annotations

from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import FLAGS, Document, RolloutObject
    from tidegate.rollouts.version import Version

_ABSENT: Final = object()


class PublishedStatus:
    """Fields written for one version. A new version starts with an empty one, so that it writes all fields.

    The flags are an exception. A flag that was never set is not removed, as an operator may be setting it just now.
    """

    def __init__(self, found: RolloutObject | None = None, before: PublishedStatus | None = None) -> None:
        """`found` is the object in the cluster, None when there is none; `before` is the status of the version before.

        That version may have set flags after the new one was requested. They are no requests to the new one either.
        """
        self.object = found
        self.set_by = found.set_by if found is not None else {}
        self._written: Document = {}
        if found is not None:
            previous = before.object.status if before is not None and before.object is not None else {}
            flags = {flag: found.status.get(flag) or previous.get(flag) or None for flag in FLAGS}
            self.object = found.model_copy(update={"status": {flag: True for flag in FLAGS if flags[flag]}})
            self._written = flags

    def unwritten(self, document: Document) -> Document:
        """Fields of `.status` that are still to be written."""
        return {name: value for name, value in document.items() if self._written.get(name, _ABSENT) != value}

    def lost(self, changes: Document) -> None:
        """Forget the fields of a pass without a result, so that they are written again.

        A flag that the pass was to remove may be gone, so an abort that comes now has to set it. A flag that was never
        set is not removed a second time: an operator may be setting it just now.
        """
        unset = {flag for flag in FLAGS if self._written.get(flag, _ABSENT) is None}
        self._written = {name: value for name, value in self._written.items() if name in unset or name not in changes}

    def took_away(self, flags: tuple[str, ...]) -> None:
        """Note that flags are gone, whatever became of the rest: they are not removed a second time."""
        self._written |= dict.fromkeys(flags)
        if self.object is not None:
            status = {name: value for name, value in self.object.status.items() if name not in flags}
            self.object = self.object.model_copy(update={"status": status})

    def acknowledge(self, flag: str) -> None:
        """Note that a flag was taken as a request: it is no second request, and the next write removes it."""
        self._written |= {flag: True}
        if self.object is not None:
            self.object = self.object.model_copy(update={"status": self.object.status | {flag: True}})

    def wrote(self, changes: Document, stored: RolloutObject | None, version: Version | None) -> None:
        """Note a write for a version, `stored` being the object then; None where there was no object."""
        if self.object is None and stored is not None:
            # It was created after the release had started: it has no field that was written before, and its version
            # was not requested yet.
            self.object, self._written = stored.for_version(version or stored.version), {}
        self._written = {**self._written, **changes}
        if self.object is not None and stored is not None:
            self.object = self.object.written(changes, stored)
            # Whose flag was heard is known from here on: it goes with its end, and one that is set after it stays.
            self.set_by = self.set_by | {
                flag: by for flag, by in stored.set_by.items() if self._written.get(flag) is True
            }
            # What a late write of another release left is taken away by the next pass.
            self._written |= dict.fromkeys(stored.own_flags, True)
