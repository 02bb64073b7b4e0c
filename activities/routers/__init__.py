"""The routers: weights and routes of one Rollout, each write read back."""
