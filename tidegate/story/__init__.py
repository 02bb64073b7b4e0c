"""A release's status in other forms: live Markdown, Argo's objects, and why it did what it did. Pure."""

from tidegate.story.analysis_run_object import analysis_run_object, analysis_run_spec, analysis_run_status
from tidegate.story.details import analysis_details, details
from tidegate.story.explained import Deed, Explanation, GateAccount, MetricAccount
from tidegate.story.explanation import explain, explain_run
from tidegate.story.kubernetes_events import kubernetes_event
from tidegate.story.notices import Subscriptions, notices_for, read_subscriptions
from tidegate.story.rollout_status import MANUALLY_PAUSED, pause_conditions, rollout_status

__all__ = [
    "MANUALLY_PAUSED",
    "Deed",
    "Explanation",
    "GateAccount",
    "MetricAccount",
    "Subscriptions",
    "analysis_details",
    "analysis_run_object",
    "analysis_run_spec",
    "analysis_run_status",
    "details",
    "explain",
    "explain_run",
    "kubernetes_event",
    "notices_for",
    "pause_conditions",
    "read_subscriptions",
    "rollout_status",
]
