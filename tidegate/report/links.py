"""Addresses of releases in the Temporal UI."""

from __future__ import annotations

from urllib.parse import quote


def run_url(temporal_ui: str, workflow_id: str, run_id: str) -> str:
    """Address of a run's history; `temporal_ui` is the address of the UI with its namespace."""
    return f"{temporal_ui.rstrip('/')}/workflows/{quote(workflow_id, safe='')}/{quote(run_id, safe='')}/history"
