"""A stand-in for Datadog."""
