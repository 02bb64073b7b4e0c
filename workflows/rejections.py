"""What a cluster refuses of one release, by the work that meets it; each cause is told once."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.canary.conditions import Reason
    from tidegate.contract import Failing, is_known

PASSES = "passes"  # and the way back
RESTARTS = "restarts"
LOOKS = "looks"  # at the cluster, before a version is taken on
MAX_CAUSES = 20  # at one time, or told of one release


class Rejections:
    """The causes that stand, and those that people were told."""

    def __init__(self) -> None:
        self._causes: dict[str, tuple[str, ...]] = {}
        self._failing: dict[str, Failing] = {}
        self._told: tuple[str, ...] = ()

    @property
    def failing(self) -> Failing | None:
        """What is refused now, the newest of it; None while nothing is."""
        return next(reversed(self._failing.values()), None)

    def causes(self, of: str) -> tuple[str, ...]:
        """What that work has met since it last went through."""
        return self._causes.get(of, ())

    def reason(self, of: str) -> Reason:
        """Which part of that work it is that is refused."""
        found = self._failing.get(of)
        return found.reason if found is not None else Reason.REFUSED

    def since(self, of: str) -> datetime | None:
        """Since when that work is refused, None while it is not."""
        found = self._failing.get(of)
        return found.since if found is not None else None

    def note(self, what: str, of: str, reason: Reason) -> bool:
        """Take down a refusal; empty: it is refused no longer. Returns whether people are to be told of it."""
        if not what:
            self._causes.pop(of, None)
            self._failing.pop(of, None)
            return False
        if not is_known(what, self.causes(of)):
            self._causes[of] = (*self.causes(of), what)[-MAX_CAUSES:]
            since = self.since(of) or workflow.now()
            self._failing.pop(of, None)  # the newest stands last
            self._failing[of] = Failing(what=what, since=since, reason=reason)
        if is_known(what, self._told):
            return False
        self._told = (*self._told, what)[-MAX_CAUSES:]
        return True
