"""The comparison by many runs: how often it is wrong, and what simulated rollouts come to."""
