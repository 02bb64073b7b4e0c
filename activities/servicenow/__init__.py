"""ServiceNow: incidents and changes."""
