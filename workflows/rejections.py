"""Rejections of a release's work by the cluster; each cause is published once."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Failing, is_known
    from tidegate.rollouts.conditions import Reason

PASSES = "passes"  # and the way back
RESTARTS = "restarts"
OBSERVE = "observe"  # at the cluster, before a version is taken on
MAX_CAUSES = 20  # at one time, or published for one release


class Rejections:
    """Current causes, and those that were published."""

    def __init__(self) -> None:
        self._causes: dict[str, tuple[str, ...]] = {}
        self._failing: dict[str, Failing] = {}
        self._published: tuple[str, ...] = ()

    @property
    def failing(self) -> Failing | None:
        """The latest rejection; None while there is none."""
        return next(reversed(self._failing.values()), None)

    def causes(self, of: str) -> tuple[str, ...]:
        """Causes that the work has met since it last succeeded."""
        return self._causes.get(of, ())

    def reason(self, of: str) -> Reason:
        """Reason of the rejection of that work."""
        found = self._failing.get(of)
        return found.reason if found is not None else Reason.REFUSED

    def since(self, of: str) -> datetime | None:
        """Start of the rejection of that work, None while there is none."""
        found = self._failing.get(of)
        return found.since if found is not None else None

    def note(self, what: str, of: str, reason: Reason) -> bool:
        """Note a rejection, or its end when `what` is empty. True when it is to be published."""
        if not what:
            self._causes.pop(of, None)
            self._failing.pop(of, None)
            return False
        if not is_known(what, self.causes(of)):
            self._causes[of] = (*self.causes(of), what)[-MAX_CAUSES:]
            since = self.since(of) or workflow.now()
            self._failing.pop(of, None)  # the latest is last
            self._failing[of] = Failing(what=what, since=since, reason=reason)
        if is_known(what, self._published):
            return False
        self._published = (*self._published, what)[-MAX_CAUSES:]
        return True
