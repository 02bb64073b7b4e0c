"""Metrics, alerts, logs and traces."""
