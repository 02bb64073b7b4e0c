"""Rules that every strategy shares: versions, ReplicaSets, actions of a pass, status."""
