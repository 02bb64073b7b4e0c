"""Exit codes, and the one block on stderr that an expected error becomes."""

from __future__ import annotations

from enum import IntEnum

from rich.text import Text

from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.client import (
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
from tidegate.contract import CompensationState, ReleaseStatus
from tidegate.rollouts.phase import RolloutPhase


class ExitCode(IntEnum):
    """Exit codes that a script may rely on."""

    OK = 0  # done; for a release: promoted; for an analysis run: Successful
    INTERNAL = 1  # for an analysis run: Error, so nothing is known of what it looked at
    ROLLED_BACK = 2  # by a gate or a person; traffic is on the stable version; for an analysis run: Failed
    HELD = 3  # waits for an operator; for an analysis run: Inconclusive
    STILL_RUNNING = 4  # time is over, or no worker answered; what was waited for goes on
    REFUSED = 5  # nothing was done
    COMPENSATION_FAILED = 6  # or nothing was undone: a person is needed
    NOT_FOUND = 7  # no such release or analysis run, or Temporal keeps it no longer
    UNREACHABLE = 8  # Temporal, or the gateway, does not answer; nothing was done
    USAGE = 64


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


_VERDICTS = {
    Phase.SUCCESSFUL: ExitCode.OK,
    Phase.FAILED: ExitCode.ROLLED_BACK,
    Phase.INCONCLUSIVE: ExitCode.HELD,
    Phase.ERROR: ExitCode.INTERNAL,
}


def exit_code(error: TidegateError) -> ExitCode:
    """Exit code of an error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def status_code(status: ReleaseStatus) -> ExitCode:
    """Exit code for the current state of a release."""
    if any(each.state is CompensationState.FAILED for each in status.compensations):
        return ExitCode.COMPENSATION_FAILED
    if status.finished_at is not None:
        return ExitCode.OK if status.phase is RolloutPhase.HEALTHY else ExitCode.ROLLED_BACK
    if status.held:
        return ExitCode.HELD
    return ExitCode.STILL_RUNNING


def run_code(status: AnalysisStatus) -> ExitCode:
    """Exit code for the current state of an analysis run."""
    return _VERDICTS.get(status.phase, ExitCode.STILL_RUNNING)


def error_block(message: str, remedy: str = "") -> Text:
    """The error, and below it the remedy."""
    block = Text.assemble(("error: ", "bold red"), message)
    if remedy:
        block.append_text(Text.assemble("\n", ("remedy: ", "bold"), remedy))
    return block
