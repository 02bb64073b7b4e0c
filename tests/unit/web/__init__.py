"""The web page, rendered: no server and no browser."""
