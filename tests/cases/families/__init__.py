"""One module for each kind of cases; each has `FAMILIES`, the families that it brings."""
