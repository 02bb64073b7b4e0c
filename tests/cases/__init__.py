"""Parity cases: inputs with what Argo Rollouts did with them, run against Tidegate. `python -m tests.cases DIR`."""
