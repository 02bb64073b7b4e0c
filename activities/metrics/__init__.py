"""Providers of metrics: a measurement in, readings out. One package for each."""
