"""Secrets taken out of text of the other side: it may send back what it was sent, in whatever form it likes."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "*****"
# A shorter secret is found in any text by chance; then only itself is looked for, and never in what has a structure.
SHORTEST = 4
_SHORTEST_LINE = 16


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text with `*****` for each secret, also where it was escaped, quoted or encoded on its way."""
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    return text


def mask_bytes(body: bytes, secrets: Iterable[str]) -> bytes:
    """As `mask`, for a body that will be parsed: a secret of a letter or three would tear its structure."""
    for form in _forms(secret for secret in secrets if len(secret) >= SHORTEST):
        body = body.replace(form.encode("utf-8", "replace"), MASK.encode())
    return body


def _forms(secrets: Iterable[str]) -> list[str]:
    """Longest first: the short ones may be a part of the long ones."""
    return sorted({form for secret in secrets for form in _forms_of(secret) if form}, key=len, reverse=True)


def _forms_of(secret: str) -> Iterator[str]:
    yield secret
    if len(secret) < SHORTEST:
        return
    raw = secret.encode("utf-8", "replace")
    for each in (secret, secret.strip()):
        yield each
        for quoted in (quote(each, errors="replace"), quote(each, safe="", errors="replace"), quote_plus(each)):
            yield quoted
            yield _lower_escapes(quoted)
        yield json.dumps(each)[1:-1]
        yield json.dumps(each, ensure_ascii=False)[1:-1]
        yield html.escape(each)
        yield repr(each)[1:-1]
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        yield encoded.decode()
        yield encoded.decode().rstrip("=")
    # Of a key in PEM, or a file of several lines, a line alone may be quoted.
    yield from (line.strip() for line in secret.splitlines()[1:-1] if len(line.strip()) >= _SHORTEST_LINE)


def _lower_escapes(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return "".join([head, *(f"%{part[:2].lower()}{part[2:]}" for part in rest)])
