"""A stand-in for ServiceNow."""
