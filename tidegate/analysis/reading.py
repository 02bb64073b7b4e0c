"""Reading of one metric at one time from a metric provider, before any condition has judged it."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from tidegate.analysis.status import Phase


class Verdict(BaseModel):
    """Phase of a measurement, Argo's message where there is one, and one sentence for people."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    phase: Phase
    message: str = ""
    reason: str = ""


class Reading(BaseModel):
    """One provider answer. Exactly one of `result` and `error` carries meaning: with `error` set there is no result.

    `value` is the text that is stored and shown (shortest plain decimal, lists as JSON), `query` the query as sent with
    secrets masked, `notes` sentences on what was assumed ("errors has no series while hits has data: taken as 0").
    `no_data` is true when the provider had nothing to say; `result` is then None, or an empty list of a provider whose
    lists hold what was measured. `rate_limited_seconds` is how long the provider made the
    measurement wait.

    `unresolved` says that `error` is about an argument that has no value: asking again cannot help. `resume_at` is set
    while the provider is still at work, and says when to ask it again. `verdict` is given where a condition holds an
    argument from a Secret and could therefore only be judged beside the provider.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants", defer_build=True)

    metric: str
    result: JsonValue = None
    value: str = ""
    error: str = ""
    no_data: bool = False
    unresolved: bool = False
    resume_at: AwareDatetime | None = None
    verdict: Verdict | None = None
    query: str = ""
    notes: tuple[str, ...] = ()
    metadata: dict[str, str] = Field(default_factory=dict)
    started_at: AwareDatetime
    finished_at: AwareDatetime
    rate_limited_seconds: float = 0.0
