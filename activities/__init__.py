"""One module for each outside system; the only place with network I/O."""
