"""Rules of an Experiment object: its pods, its phase, its status. Pure."""
