"""Secrets: Vault, and what is taken while it is away."""
