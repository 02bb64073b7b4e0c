"""The router: weights, routes and subsets of one Rollout, each write read back."""
