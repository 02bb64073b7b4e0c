"""Rules of routers: what an object that splits traffic becomes for a weight. Pure."""
