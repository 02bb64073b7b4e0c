"""A channel of the embedded Slack as a page for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape, unescape

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #611f69; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
header { border-bottom: 3px solid var(--accent); } h1 { margin: 0 0 .25rem; font-size: 1.4rem; }
article { border-bottom: 1px solid var(--line); padding: .6rem 0; } small { opacity: .7; }
p { margin: .2rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def channel_page(name: str, messages: Sequence[tuple[float, str]]) -> str:
    """The messages of a channel with their unix times, the newest last."""
    shown = "".join(
        f"<article><strong>Tidegate</strong> <small>{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC</small>"
        f"<p>{_text(text)}</p></article>"
        for at, text in messages
    )
    title = escape(f"#{name}")
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{_STYLE}</style><header><h1>{title}</h1></header>"
        f"<main>{shown or '<p>No message has been sent.</p>'}</main></html>"
    )


def _text(text: str) -> str:
    """Text of mrkdwn as HTML: Slack's three escapes read, bold shown."""
    return re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", escape(unescape(text)))
