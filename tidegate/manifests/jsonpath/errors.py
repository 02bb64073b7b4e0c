"""What can be wrong with a path, or with the document that it is put to."""

from __future__ import annotations


class PathError(ValueError):
    """A path that cannot be read, or that leads nowhere; the text is client-go's where it has one."""
