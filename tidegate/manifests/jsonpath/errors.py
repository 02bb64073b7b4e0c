"""Errors of a path, or of the document that it is evaluated on."""

from __future__ import annotations


class PathError(ValueError):
    """A path that cannot be read, or that leads nowhere; the text is client-go's where it has one."""
