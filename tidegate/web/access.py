"""Access to the page: who looks, by the header of a trusted proxy, who may act, and forms that no other site can send.

A request is believed to come from another site unless it carries the cookie of this page, the same value in its form,
and the page's own origin (OWASP, Cross-Site Request Forgery Prevention: double submit, verifying origin).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from tidegate.manifests.plain_text import one_line

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

TOKEN: Final = "token"  # noqa: S105  the name of a field
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_COOKIE: Final = "tidegate-form"
_MAX_NAME: Final = 200
_TOKEN_BYTES: Final = 32


class Viewer(NamedTuple):
    """A person who looks at the page; the name is empty where the proxy gave none."""

    name: str = ""
    may_act: bool = False


@dataclass(frozen=True)
class PageAccess:
    """Rules of the page. `origin` is its address as browsers have it; without one it is read on this machine alone.

    Only a connection from one of the `proxies` is believed what its headers say. A viewer of one of the groups
    `operators` may act; without any there is nothing to act with.
    """

    origin: str = ""
    user_header: str = "X-Auth-Request-User"
    groups_header: str = "X-Auth-Request-Groups"
    operators: frozenset[str] = frozenset()
    proxies: Sequence[Network] = field(default_factory=lambda: networks(("127.0.0.0/8", "::1/128")))

    @property
    def acts(self) -> bool:
        """True where there are operators."""
        return bool(self.operators)

    def viewer(self, request: web.Request) -> Viewer:
        """The person that a request comes from. Headers that are there twice say nothing."""
        if not self._is_proxy(request.remote):
            return Viewer()
        name = one_line(_single(request.headers, self.user_header))[:_MAX_NAME]
        groups = {each.strip() for each in _single(request.headers, self.groups_header).split(",")}
        return Viewer(name, bool(name) and bool(self.operators & groups))

    def is_known_host(self, request: web.Request) -> bool:
        """True for a request to the address of this page: another name may lead a browser here (DNS rebinding)."""
        known = {*LOOPBACK, urlsplit(self.origin).netloc} - {""}
        return bool({request.host, _without_port(request.host)} & known)

    def is_own_form(self, request: web.Request, given: str) -> bool:
        """True for a form that this page gave to this browser; `given` is its token."""
        origins = [self.origin] if self.origin else [f"http://{request.host}"]
        if _single(request.headers, hdrs.ORIGIN) not in origins:
            return False
        cookie = request.cookies.get(self._cookie, "")
        return bool(cookie) and hmac.compare_digest(cookie.encode(), given.encode())

    def token(self, request: web.Request) -> str:
        """The browser's token, a new one where it has none."""
        found = request.cookies.get(self._cookie, "")
        return found if len(found) >= _TOKEN_BYTES else secrets.token_urlsafe(_TOKEN_BYTES)

    def give(self, response: web.StreamResponse, token: str) -> None:
        """Set the cookie of a token: of this host alone where the page has TLS."""
        response.set_cookie(
            self._cookie, token, secure=self._has_tls, httponly=True, samesite="Strict", path="/", max_age=86400
        )

    def seal(self, request: web.Request, text: str) -> str:
        """Seal of a text for this browser, so that no link of another can put words on the page."""
        key = request.cookies.get(self._cookie, "")
        return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest() if key else ""

    def is_sealed(self, request: web.Request, text: str, seal: str) -> bool:
        """True for a text with its seal."""
        own = self.seal(request, text)
        return bool(own) and hmac.compare_digest(own, seal)

    @property
    def _has_tls(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def _cookie(self) -> str:
        return f"__Host-{_COOKIE}" if self._has_tls else _COOKIE

    def _is_proxy(self, address: str | None) -> bool:
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(found in network for network in self.proxies)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks or single addresses. Raises ValueError for any other text."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts)


def _single(headers: Mapping[str, str], name: str) -> str:
    found = [value for key, value in headers.items() if key.lower() == name.lower()]
    return found[0] if len(found) == 1 else ""


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdecimal() else host
