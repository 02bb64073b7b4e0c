"""The Rollout's `.status` as one version of a release writes it: which fields are still to be written."""

from __future__ import annotations

from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.canary.version import Version
    from tidegate.contract import FLAGS, Document, RolloutObject

_ABSENT: Final = object()


class PublishedStatus:
    """What was written for one version. A new version has a new page, so that it begins with all fields written.

    All but the flags: one that nobody has set so far is not taken away, as somebody may be setting it just now.
    """

    def __init__(self, found: RolloutObject | None = None, before: PublishedStatus | None = None) -> None:
        """`found` is the object in the cluster, None when there is none; `before` what the version before had written.

        That version may have set flags after the new one was asked for: they say nothing to it either.
        """
        self.object = found
        self.set_by = found.set_by if found is not None else {}
        self._written: Document = {}
        if found is not None:
            said = before.object.status if before is not None and before.object is not None else {}
            flags = {flag: found.status.get(flag) or said.get(flag) or None for flag in FLAGS}
            self.object = found.model_copy(update={"status": {flag: True for flag in FLAGS if flags[flag]}})
            self._written = flags

    def unwritten(self, document: Document) -> Document:
        """The fields of `.status` that do not stand there yet."""
        return {name: value for name, value in document.items() if self._written.get(name, _ABSENT) != value}

    def lost(self, changes: Document) -> None:
        """Forget what a pass was to write that never said whether it did, so that it is written again.

        A flag that it was to take away may be gone, so that an abort that comes now has to set it. One that nobody set
        is not taken away a second time: somebody may be setting it just now.
        """
        unset = {flag for flag in FLAGS if self._written.get(flag, _ABSENT) is None}
        self._written = {name: value for name, value in self._written.items() if name in unset or name not in changes}

    def took_away(self, flags: tuple[str, ...]) -> None:
        """Take note that flags are gone, whatever became of the rest: they are not to be taken away a second time."""
        self._written |= dict.fromkeys(flags)
        if self.object is not None:
            status = {name: value for name, value in self.object.status.items() if name not in flags}
            self.object = self.object.model_copy(update={"status": status})

    def heard(self, flag: str) -> None:
        """Take note that a flag stands which was heard: it is no other word later, and goes with the next write."""
        self._written |= {flag: True}
        if self.object is not None:
            self.object = self.object.model_copy(update={"status": self.object.status | {flag: True}})

    def wrote(self, changes: Document, stored: RolloutObject | None, version: Version | None) -> None:
        """Take note of a write for a version, `stored` being the object then; None where there was none to write to."""
        if self.object is None and stored is not None:
            # It came after the release had begun: nothing that was written before stands in it, and what it asks for
            # was asked for by nobody yet.
            self.object, self._written = stored.unheard(version or stored.asks_for), {}
        self._written = {**self._written, **changes}
        if self.object is not None and stored is not None:
            self.object = self.object.written(changes, stored)
            # Whose flag was heard is known from here on: it goes with its end, and one that is set after it stays.
            self.set_by = self.set_by | {
                flag: by for flag, by in stored.set_by.items() if self._written.get(flag) is True
            }
            # What a late write of another release left is taken away by the next pass.
            self._written |= dict.fromkeys(stored.own_flags, True)
