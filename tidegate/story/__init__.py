"""A release's status in other forms: live Markdown, Argo's `.status`, and why it did what it did. Pure."""

from tidegate.story.details import analysis_details, details
from tidegate.story.explained import Deed, Explanation, GateAccount, MetricAccount
from tidegate.story.explanation import explain, explain_run
from tidegate.story.rollout_status import MANUALLY_PAUSED, pause_conditions, rollout_status

__all__ = [
    "MANUALLY_PAUSED",
    "Deed",
    "Explanation",
    "GateAccount",
    "MetricAccount",
    "analysis_details",
    "details",
    "explain",
    "explain_run",
    "pause_conditions",
    "rollout_status",
]
