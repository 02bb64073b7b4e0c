"""The comparison of a canary with stable by counts: evidence, decision and forecast. Pure, standard library only.

Times are seconds since 1970, shares and rates are fractions. Events keep the order of `Comparison.events` everywhere.
"""
