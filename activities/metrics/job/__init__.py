"""A Kubernetes Job whose end is the measurement."""
