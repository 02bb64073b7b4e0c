"""Stages of a blue-green release, in their order, and the line that people see of each."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from tidegate.manifests.analysis_template import RolloutAnalysis
from tidegate.manifests.rollout import BlueGreen


class Stage(StrEnum):
    """A stage; where a field of the strategy asks for it, its name is that of the field."""

    PREVIEW = "preview"
    PRE_PROMOTION = "prePromotionAnalysis"
    PAUSE = "pause"
    ACTIVE = "active"
    POST_PROMOTION = "postPromotionAnalysis"


def stages(strategy: BlueGreen) -> tuple[Stage, ...]:
    """The stages that a version takes which is not known to be good."""
    wanted = {
        Stage.PREVIEW: True,
        Stage.PRE_PROMOTION: strategy.pre_promotion_analysis is not None,
        Stage.PAUSE: strategy.pauses,
        Stage.ACTIVE: True,
        Stage.POST_PROMOTION: strategy.post_promotion_analysis is not None,
    }
    return tuple(stage for stage, is_wanted in wanted.items() if is_wanted)


def stage_text(stage: Stage, strategy: BlueGreen) -> str:
    """One line for a stage."""
    match stage:
        case Stage.PREVIEW:
            count = strategy.preview_replica_count
            pods = "all pods" if count is None else f"{count} pods"
            return f"preview: {pods}" + (f" behind {strategy.preview_service}" if strategy.preview_service else "")
        case Stage.PAUSE:
            return "pause" if strategy.waits_for_operator else f"pause: {strategy.auto_promotion_seconds}s"
        case Stage.ACTIVE:
            return f"active: all of {strategy.active_service}"
        case Stage.PRE_PROMOTION:
            return f"{stage}: {', '.join(_templates(strategy.pre_promotion_analysis))}"
        case Stage.POST_PROMOTION:
            return f"{stage}: {', '.join(_templates(strategy.post_promotion_analysis))}"


def _templates(analysis: RolloutAnalysis | None) -> Iterator[str]:
    return (each.template_name for each in (analysis.templates if analysis is not None else ()))
