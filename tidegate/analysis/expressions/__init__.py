"""The expression language of conditions, expr-lang 1.17: grammar, types, evaluation, limits."""
