"""What the providers that speak HTTP send to show who asks, as a manifest says it."""

from __future__ import annotations

from collections.abc import Iterable

from activities.measuring import ConfigError
from activities.oauth2 import ClientCredentials
from tidegate.manifests.providers.authentication import Authentication, Header

# Go's client leaves these out of what a manifest gives: they belong to the connection, and the client writes them.
_CONNECTION = frozenset({"Host", "Content-Length", "Transfer-Encoding", "Trailer"})


def client_credentials(authentication: Authentication) -> ClientCredentials | None:
    """The OAuth 2.0 client, if one is given. Raises ConfigError for half of one, and for what is not supported."""
    unsupported = authentication.unsupported()
    if unsupported:
        raise ConfigError(f"not supported by Tidegate: authentication.{unsupported[0]}")
    oauth2 = authentication.oauth2
    if not oauth2.token_url:
        return None
    if not oauth2.client_id or not oauth2.client_secret:
        raise ConfigError("missing mandatory parameter in metric for OAuth2 setup")
    return ClientCredentials(oauth2.token_url, oauth2.client_id, oauth2.client_secret, oauth2.scopes)


def sent_headers(headers: Iterable[Header]) -> dict[str, str]:
    """Headers by their canonical names (`X-Scope-Orgid`), the last of a name counting, as in Go."""
    named = {header.key.title(): header.value for header in headers}
    return {name: value for name, value in named.items() if name not in _CONNECTION}
