"""A release's status in other forms: live Markdown, Argo's objects, and why it did what it did. Pure."""

from tidegate.report.analysis_run_object import (
    analysis_run_object,
    analysis_run_spec,
    analysis_run_status,
    experiment_run_object,
)
from tidegate.report.backtest import backtest_view
from tidegate.report.comparisons import actual_weight, comparisons, traffic_seen
from tidegate.report.explain import decisive_metric, explain, explain_run, reason_of
from tidegate.report.explanation_models import Explanation, GateExplanation, MetricExplanation, TimelineEntry
from tidegate.report.forecast import forecast_sentences, forecast_view
from tidegate.report.kubernetes_events import joined, kubernetes_event
from tidegate.report.markdown import analysis_details, details
from tidegate.report.notifications import Subscriptions, command_for, notifications_for, read_subscriptions
from tidegate.report.rollout_status import pause_conditions, rollout_status

__all__ = [
    "Explanation",
    "GateExplanation",
    "MetricExplanation",
    "Subscriptions",
    "TimelineEntry",
    "actual_weight",
    "analysis_details",
    "analysis_run_object",
    "analysis_run_spec",
    "analysis_run_status",
    "backtest_view",
    "command_for",
    "comparisons",
    "decisive_metric",
    "details",
    "experiment_run_object",
    "explain",
    "explain_run",
    "forecast_sentences",
    "forecast_view",
    "joined",
    "kubernetes_event",
    "notifications_for",
    "pause_conditions",
    "read_subscriptions",
    "reason_of",
    "rollout_status",
    "traffic_seen",
]
