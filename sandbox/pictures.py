"""Pictures within the pages of embedded APIs."""

from __future__ import annotations

from base64 import b64encode
from html import escape

_PNG = b"\x89PNG"


def picture(name: str, content: bytes) -> str:
    """An HTML image of a PNG that holds the picture itself; empty for other contents."""
    if not content.startswith(_PNG):
        return ""
    return f"<img alt='{escape(name, quote=True)}' src='data:image/png;base64,{b64encode(content).decode()}'>"
