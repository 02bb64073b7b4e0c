"""Argo's own validation: what makes a Rollout, or an object that it refers to, invalid for Argo too."""
