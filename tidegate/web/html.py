"""HTML written as calls. Each text is escaped unless it is `Html` already, so no caller can forget it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, TypeAlias

from tidegate.manifests.plain_text import harmless

_VOID: Final = frozenset({"br", "circle", "hr", "img", "input", "line", "link", "meta", "path", "polyline", "rect"})
_LINKS: Final = ("https://", "http://")


class Html(str):
    """Text that is HTML already. Only this module and the fixed texts of the page make it of a string."""

    __slots__ = ()


Child: TypeAlias = "Html | str | int | Iterable[Child] | None"


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """An element of HTML or SVG.

    `aria_label` becomes `aria-label`, and `class_` is `class`. An attribute that is True has no value; one that is None
    or False is left out. Empty elements end with their tag.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    if name in _VOID:
        return Html(
            f"<{name}{written}>" if name in ("br", "hr", "img", "input", "link", "meta") else f"<{name}{written}/>"
        )
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Child) -> Html:
    """Children one after another, each string of them escaped."""
    if children is None:
        return Html("")
    if isinstance(children, Html):
        return children
    if isinstance(children, str | int):
        return Html(escape(harmless(str(children))))
    return Html("".join(map(join, children)))


def link(url: str, *children: Child, **attributes: str | None) -> Html:
    """A link to an address from outside; its text alone where that is no address of the web."""
    if not url.startswith(_LINKS):
        return join(children)
    return tag("a", *children, href=url, rel="noreferrer", **attributes)


def _attribute(name: str, value: str | float | bool | None) -> str:
    key = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {key}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {key}="{escape(harmless(text))}"'
