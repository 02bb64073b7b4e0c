"""How the comparison judges simulated rollouts: the product's own rules, driven bucket by bucket."""
