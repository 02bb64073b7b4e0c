"""The web page: all releases of a fleet, for people at night and for the wall. Rendered here, without a framework."""
