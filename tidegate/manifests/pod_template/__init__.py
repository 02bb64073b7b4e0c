"""Kubernetes' rules of a pod template: its fields in their order, its quantities, and its errors."""
