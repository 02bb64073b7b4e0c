"""The one way in which tests replay a history."""

from __future__ import annotations

from temporalio.worker import Replayer

from tidegate.client import data_converter
from workers.wiring import workflow_runner
from workflows.analysis_run import AnalysisRun
from workflows.backtest import Backtest
from workflows.doctor import Doctor
from workflows.experiment_object import ExperimentObject
from workflows.follow_up import FollowUp
from workflows.forecast import Forecast
from workflows.let_go import LetGoOfObjects
from workflows.rollback import Rollback
from workflows.rollout import Rollout

WORKFLOWS = (Rollout, AnalysisRun, Backtest, Doctor, ExperimentObject, FollowUp, Forecast, LetGoOfObjects, Rollback)


def replayer() -> Replayer:
    """Replay as a worker runs. A slow machine is no deadlock: only commands are judged here, not their time."""
    return Replayer(
        workflows=WORKFLOWS,
        data_converter=data_converter(),
        workflow_runner=workflow_runner(),
        debug_mode=True,
    )
