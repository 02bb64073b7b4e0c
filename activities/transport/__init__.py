"""HTTP as every outside system is asked: limits, TLS, tokens, errors, what may be asked."""
