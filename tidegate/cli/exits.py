"""Exit codes of the commands."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from tidegate.client.errors import (
    CompensationError,
    ConfigurationError,
    HeldError,
    InvalidSpecError,
    NotFoundError,
    NoWorkerError,
    RefusedError,
    ReleaseError,
    StillRunningError,
    StoppedError,
    SupersededError,
    TidegateError,
    UnreachableError,
)


class ExitCode(IntEnum):
    """Exit codes that a script may rely on."""

    OK = 0  # done; for a release: promoted; for an analysis run: Successful
    INTERNAL = 1  # an error of Tidegate; for an analysis run: Error, so nothing is known of what it looked at
    ROLLED_BACK = 2  # rolled back by a gate or a person; traffic is on the stable version; for an analysis run: Failed
    HELD = 3  # waits for an operator; for an analysis run: Inconclusive
    STILL_RUNNING = 4  # time is over, or no worker answered; what was waited for goes on
    REFUSED = 5  # refused: nothing was done
    COMPENSATION_FAILED = 6  # a compensation failed, or nothing was undone: a person is needed
    NOT_FOUND = 7  # no such release or analysis run, or Temporal keeps it no longer
    UNREACHABLE = 8  # Temporal, or the gateway, does not answer; nothing was done
    USAGE = 64  # the command or its settings cannot be used


# The first kind that fits counts, so the special ones stand before those that they derive from.
_CODES: tuple[tuple[type[TidegateError], ExitCode], ...] = (
    (CompensationError, ExitCode.COMPENSATION_FAILED),
    (StoppedError, ExitCode.COMPENSATION_FAILED),
    (InvalidSpecError, ExitCode.REFUSED),
    (SupersededError, ExitCode.REFUSED),
    (ReleaseError, ExitCode.ROLLED_BACK),
    (HeldError, ExitCode.HELD),
    (StillRunningError, ExitCode.STILL_RUNNING),
    (NoWorkerError, ExitCode.STILL_RUNNING),
    (RefusedError, ExitCode.REFUSED),
    (ConfigurationError, ExitCode.USAGE),
    (NotFoundError, ExitCode.NOT_FOUND),
    (UnreachableError, ExitCode.UNREACHABLE),
    (TidegateError, ExitCode.INTERNAL),
)


def exit_code(error: TidegateError) -> ExitCode:
    """Exit code of an error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


_WORST_FIRST = (
    ExitCode.COMPENSATION_FAILED,
    ExitCode.INTERNAL,
    ExitCode.UNREACHABLE,
    ExitCode.ROLLED_BACK,
    ExitCode.REFUSED,
    ExitCode.NOT_FOUND,
    ExitCode.STILL_RUNNING,
    ExitCode.HELD,
    ExitCode.USAGE,
    ExitCode.OK,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The exit code of several Rollouts: that of the one that needs an operator most."""
    return min(codes, key=_WORST_FIRST.index, default=ExitCode.OK)
