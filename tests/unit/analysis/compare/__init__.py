"""The comparison of a canary with stable: exactness, levels, readings, decisions, words."""
