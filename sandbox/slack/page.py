"""A channel of the embedded Slack as a page for people: messages with colour, facts, buttons, thread and charts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape, unescape
from typing import Any

from sandbox.pictures import picture
from sandbox.slack.messages import Channel, Message

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #611f69; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
header { border-bottom: 3px solid var(--accent); } h1 { margin: 0 0 .25rem; font-size: 1.4rem; }
article { padding: .6rem 0 .6rem 3rem; position: relative; } small { opacity: .7; }
article::before { content: "T"; position: absolute; left: 0; width: 2.2rem; height: 2.2rem; border-radius: 6px;
                  background: #0b7285; color: #fff; font-weight: bold; line-height: 2.2rem; text-align: center; }
main > section { border-bottom: 1px solid var(--line); }
section section { margin-left: 3rem; border-left: 2px solid var(--line); padding-left: .75rem; }
p { margin: .2rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.attachment { border-left: 4px solid var(--colour); padding-left: .75rem; margin-top: .4rem; }
.facts { display: grid; grid-template-columns: 1fr 1fr; gap: .4rem 1.5rem; } .facts p { overflow-wrap: anywhere; }
a { display: inline-block; border: 1px solid var(--line); border-radius: 5px; padding: .1rem .7rem;
    margin: .5rem .4rem 0 0; color: inherit; text-decoration: none; font-weight: bold; font-size: .9rem; }
img { max-width: 100%; border: 1px solid var(--line); border-radius: 6px; margin-top: .4rem; }
"""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def channel_page(channel: Channel) -> str:
    """The messages of a channel, the newest last; the answers of a thread are below the message that opened it."""
    shown = "".join(_with_thread(each, channel.messages) for each in channel.messages if not each.thread_ts)
    title = escape(f"#{channel.name}")
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{_STYLE}</style><header><h1>{title}</h1></header>"
        f"<main>{shown or '<p>No message has been sent.</p>'}</main></html>"
    )


def _with_thread(message: Message, messages: Iterable[Message]) -> str:
    answers = [_message(each) for each in messages if each.thread_ts == message.ts]
    count = f"<small>{len(answers)} {'reply' if len(answers) == 1 else 'replies'}</small>"
    thread = f"<section>{count}{''.join(answers)}</section>" if answers else ""
    return f"<section>{_message(message)}{thread}</section>"


def _message(message: Message) -> str:
    shared = " · also sent to the channel" if message.broadcast else ""
    parts = [
        f"<strong>Tidegate</strong> <small>{message.at:%Y-%m-%d %H:%M:%S} UTC{shared}</small>",
        f"<p>{_text(message.text)}</p>" if message.text else "",
        *map(_attachment, message.attachments),
        *map(_file, message.files, message.contents),
    ]
    return f"<article>{''.join(parts)}</article>"


def _attachment(attachment: Mapping[str, Any]) -> str:
    """A colour, and blocks of facts and of buttons."""
    colour = str(attachment.get("color", ""))
    shown = colour if _COLOUR.fullmatch(colour) else "#888888"
    blocks = "".join(map(_block, attachment["blocks"]))
    return f"<div class='attachment' style='--colour: {shown}'>{blocks}</div>"


def _block(block: Mapping[str, Any]) -> str:
    facts = "".join(f"<p>{_text(str(each.get('text', '')))}</p>" for each in block.get("fields", ()))
    buttons = "".join(
        f"<a href='{escape(str(each['url']), quote=True)}'>{escape(str(each['text']['text']))}</a>"
        for each in block.get("elements", ())
    )
    return f"<div class='facts'>{facts}</div>{buttons}"


def _file(name: str, content: bytes) -> str:
    return f"<p><small>{escape(name)}</small></p>{picture(name, content)}"


def _text(text: str) -> str:
    """Text of mrkdwn as HTML: Slack's three escapes read, bold shown."""
    return re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", escape(unescape(text)))
