"""Order and time, nothing else."""
