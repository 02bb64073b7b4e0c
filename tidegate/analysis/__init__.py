"""Conditions, measurements, limits and verdicts: pure rules."""
