"""The embedded world: one module for each thing it stands for."""
