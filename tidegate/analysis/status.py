"""Status of an analysis run: phases, measurements, counters. Argo's field names, in snake case."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Phase(StrEnum):
    """Phase of a measurement, a metric or a run (Argo's words)."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"
    INCONCLUSIVE = "Inconclusive"

    @property
    def completed(self) -> bool:
        """True when nothing more will change."""
        return self not in (Phase.PENDING, Phase.RUNNING)


class _Status(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants", defer_build=True)


class Measurement(_Status):
    """One reading with its verdict; `reason` is one sentence that says why.

    `resume_at` is set while the provider is still at work (phase Running): the moment to ask it again.
    """

    phase: Phase
    value: str = ""
    message: str = ""
    reason: str = ""
    query: str = ""
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None
    resume_at: AwareDatetime | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class MetricStatus(_Status):
    """Counters of one metric; `measurements` holds only the newest ones and must not be counted.

    `exceeded` is the limit that ended it, such as `failed (3) > failureLimit (2)`.
    """

    name: str
    phase: Phase
    message: str = ""
    exceeded: str = ""
    dry_run: bool = False
    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0
    measurements: tuple[Measurement, ...] = ()
    success_condition: str = ""
    failure_condition: str = ""


class Summary(_Status):
    """How many metrics of a run stand where."""

    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0


class AnalysisStatus(_Status):
    """An analysis run at one moment.

    A metric that was never measured stays Pending. `completed_at` stays empty when the run could not be carried out.
    `rate_limited_until` is set while a provider makes the run wait.
    """

    name: str
    phase: Phase
    message: str = ""
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    metrics: tuple[MetricStatus, ...] = ()
    run_summary: Summary = Summary()
    dry_run_summary: Summary = Summary()
    rate_limited_until: AwareDatetime | None = None
