"""Request for one metric of the provider `web`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from activities.metrics.authentication import Access, read_access, sent_headers
from activities.metrics.provider import ConfigError
from tidegate.manifests.jsonpath import JsonPath, PathError
from tidegate.manifests.providers.web import Web as Provider

MAX_BODY_SHOWN = 500  # characters


@dataclass(frozen=True)
class WebQuery:
    """One request."""

    method: str
    url: httpx.URL  # without credentials
    headers: Mapping[str, str] = field(repr=False)
    content: str | None = field(repr=False)
    path: JsonPath  # of the value in the response
    access: Access
    timeout: int  # of the whole measurement, in seconds
    insecure: bool
    text: str  # for operators

    @property
    def request(self) -> str:
        """Prefix of an error without a response, as in Go."""
        return f'{self.method.title()} "{self.url.copy_with(query=None)}"'


def read_query(provider: Provider) -> WebQuery:
    """The request of a metric. Raises ConfigError; its texts are Argo's, where Argo rejects the same."""
    if contradiction := provider.contradiction():
        raise ConfigError(contradiction[1])
    url = _url(provider.url)
    try:
        path = JsonPath(provider.json_path or "{$}")
    except PathError as error:
        raise ConfigError(f"jsonPath: {error}") from error
    headers = sent_headers(provider.headers)
    content = provider.body or None
    if provider.json_body is not None:
        content = json.dumps(provider.json_body, ensure_ascii=False, separators=(",", ":"))
        headers["Content-Type"] = "application/json"
    bare = url.copy_with(username="", password="")
    return WebQuery(
        method=provider.verb,
        url=bare,
        headers=headers,
        content=content,
        path=path,
        access=read_access(provider.authentication, url),
        timeout=provider.limit,
        insecure=provider.insecure,
        text=_text(provider, bare, content),
    )


def _url(text: str) -> httpx.URL:
    # The text is not quoted: it may hold a password.
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise ConfigError("url is no URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError("url does not begin with http:// or https:// and a host")
    return url


def _text(provider: Provider, url: httpx.URL, content: str | None) -> str:
    body = "" if content is None else content[:MAX_BODY_SHOWN]
    path = f"jsonPath: {provider.json_path}" if provider.json_path else ""
    return "\n".join(filter(None, (f"{provider.verb} {url}", body, path)))
