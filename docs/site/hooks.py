"""Makes one page right on a forge and on the site: links out of docs/ lead to the repository, anchors are a forge's."""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)(#[\w-]+)?\)")


def slug(title: str, separator: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", separator)


def on_config(config: Any) -> Any:
    """The configuration, with anchors as on a forge: one link to a heading works in both places."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def outward(markdown: str, page: str, repository: str) -> str:
    """The text of a page, `page` being its path in docs/, with each link out of docs/ as one into the repository."""

    def absolute(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link[1]))
        inside = target.startswith("docs/")
        return link[0] if inside else f"]({repository}/blob/main/{target}{link[2] or ''})"

    return _LINK.sub(absolute, markdown)


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """The text of a page for the site."""
    return outward(markdown, page.file.src_uri, config.repo_url.rstrip("/"))
