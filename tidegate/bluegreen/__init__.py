"""Rules of the blue-green strategy: when the new version gets the traffic, and which pods stay for how long."""
