"""`.status` of a Rollout as Argo Rollouts writes it: the fields that the rules read."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from tidegate.manifests.model import Items, OpenModel
from tidegate.manifests.rollout import Rollout


class ConditionStatus(StrEnum):
    """Status of a condition: it holds, it does not, or this is unknown."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(OpenModel):
    """One entry of `.status.conditions`; times are RFC 3339."""

    type: str
    status: str = ""
    reason: str = ""
    message: str = ""
    last_update_time: str = ""
    last_transition_time: str = ""


class PauseCondition(OpenModel):
    """Why the controller holds a release, and since when (RFC 3339)."""

    reason: str
    start_time: str = ""


class BlueGreenStatus(OpenModel):
    """`.status.blueGreen`: the hashes that its Services select, as far as the rules read it."""

    active_selector: str = ""
    preview_selector: str = ""


class RolloutStatus(OpenModel):
    """`.status`; fields that no rule asks for are kept as they are."""

    abort: bool = False
    pause_conditions: Items[PauseCondition] = ()
    current_pod_hash: str = ""
    current_step_hash: str = ""
    current_step_index: int | None = None
    stable_rs: str = Field(default="", alias="stableRS")
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: str = ""
    conditions: Items[Condition] = ()
    blue_green: BlueGreenStatus = BlueGreenStatus()

    @classmethod
    def of(cls, rollout: Rollout) -> RolloutStatus:
        """The status of a Rollout, empty where it has none. Raises ValueError for one that cannot be Argo's."""
        return cls.model_validate(rollout.status or {})

    @property
    def fully_promoted(self) -> bool:
        """True when the version of the template is the stable one."""
        return self.stable_rs == self.current_pod_hash

    @property
    def completed(self) -> bool:
        """True when the version of the template was promoted."""
        return bool(self.stable_rs) and self.fully_promoted
