"""The Rollout's `.status` as one version of a release writes it: which fields are still to be written."""

from __future__ import annotations

from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Document, RolloutObject

_ABSENT: Final = object()


class StatusPage:
    """What was written for one version. A new version has a new page, so that it begins with all fields written."""

    def __init__(self, found: RolloutObject | None = None) -> None:
        """`found` is the object in the cluster, None when there is none."""
        self.object = found
        self._written: Document = {}

    def unwritten(self, document: Document) -> Document:
        """The fields of `.status` that do not stand there yet."""
        return {name: value for name, value in document.items() if self._written.get(name, _ABSENT) != value}

    def wrote(self, changes: Document, stored: RolloutObject | None) -> None:
        """Take note of a write, `stored` being the object then; None where there was none to write to."""
        if self.object is None and stored is not None:
            # It came after the release had begun: nothing that was written before stands in it.
            self.object, self._written = stored, {}
        self._written = {**self._written, **changes}
        if self.object is not None and stored is not None:
            self.object = self.object.written(changes, stored)
