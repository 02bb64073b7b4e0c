"""A web service that answers with JSON."""
