"""Every workflow that the worker of releases runs. A replay and a test take the same ones."""

from __future__ import annotations

from typing import Final

from workflows.analysis_run import AnalysisRun
from workflows.backtest import Backtest
from workflows.doctor import Doctor
from workflows.experiment_object import ExperimentObject
from workflows.follow_up import FollowUp
from workflows.forecast import Forecast
from workflows.let_go import LetGoOfObjects
from workflows.rollback import Rollback
from workflows.rollout import Rollout

WORKFLOWS: Final = (
    Rollout,
    AnalysisRun,
    Backtest,
    Doctor,
    ExperimentObject,
    FollowUp,
    Forecast,
    LetGoOfObjects,
    Rollback,
)
