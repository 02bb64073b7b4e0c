"""Figures, each printed by a command with the machine's load: `python -m benchmarks.<name>`."""
