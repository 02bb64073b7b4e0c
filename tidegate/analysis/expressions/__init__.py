"""The expression language of conditions: grammar, types, evaluation, limits (expr-lang 1.17 as Argo Rollouts uses it)."""
