"""The errors of the client, without an import that takes time: each command knows them. The tree is in the package.

`tidegate/client/translation.py` makes them of Temporal's.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.contract import ReleaseResult, Waiting


class TidegateError(Exception):
    """Base of the errors: `message` says what is wrong, `remedy` what can be done about it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class ConfigurationError(TidegateError):
    """The connection's profile or its environment variables cannot be used."""


class UnreachableError(TidegateError):
    """Temporal does not answer; nothing was done."""


class NoWorkerError(TidegateError):
    """Temporal answers, but no Tidegate worker does."""


class UnusableAnswerError(TidegateError):
    """A worker's answer cannot be read, or is an error."""


class NotFoundError(TidegateError):
    """Temporal has nothing of that name: it never existed, or its retention is over."""


class NoSuchReleaseError(NotFoundError):
    """Nothing of that name was ever released, or its retention is over."""


class NoSuchAnalysisRunError(NotFoundError):
    """There never was an analysis run of that name, or its retention is over."""


class RefusedError(TidegateError):
    """The request or the message was understood and rejected; nothing was done.

    `kind` is its `ErrorType`, `at` the time of a release's rejection by Temporal's clock; None without one.
    """

    def __init__(self, message: str, remedy: str = "", kind: str = "", at: datetime | None = None) -> None:
        super().__init__(message, remedy)
        self.kind = kind
        self.at = at


class StillRunningError(TidegateError):
    """The time given to a wait is over and the release goes on."""


class HeldError(TidegateError):
    """The release waits for an operator, without a limit."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__(
            f"the release waits for {waiting.what}; {waiting.who} can end it",
            "decide, and wait again with tidegate status --watch",
        )
        self.waiting = waiting


class ReleaseError(TidegateError):
    """The release ended and its version did not get there. `result` is its result, when there is one."""

    def __init__(self, message: str, remedy: str = "", result: ReleaseResult | None = None) -> None:
        super().__init__(message, remedy)
        self.result = result


class RolledBackError(ReleaseError):
    """A gate failed, or an operator aborted or cancelled it; traffic is on the stable version."""


class InconclusiveError(ReleaseError):
    """An inconclusive hold was over its limit; traffic is on the stable version."""


class InvalidSpecError(ReleaseError):
    """The manifest, or an object that it names, has to change first."""


class SupersededError(ReleaseError):
    """A newer version took its place."""


class StoppedError(ReleaseError):
    """It was terminated or ran out of time, and restored nothing; an operator has to act."""


class CompensationError(ReleaseError):
    """A compensation of an abort failed; an operator has to act."""
