"""Exit codes for the states of releases and analysis runs."""

from __future__ import annotations

from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.cli.exits import ExitCode
from tidegate.contract import CompensationState, ReleaseStatus
from tidegate.rollouts.phase import RolloutPhase

_VERDICTS = {
    Phase.SUCCESSFUL: ExitCode.OK,
    Phase.FAILED: ExitCode.ROLLED_BACK,
    Phase.INCONCLUSIVE: ExitCode.HELD,
    Phase.ERROR: ExitCode.INTERNAL,
}


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
