"""How the providers that speak HTTP show who asks: headers, and what stands under `authentication`."""

from __future__ import annotations

from pydantic import Field

from tidegate.manifests.model import Items, Model


class Header(Model):
    """One header of a request."""

    key: str = ""
    value: str = Field("", repr=False)


class OAuth2(Model):
    """Client credentials (RFC 6749 §4.4): a token for `scopes` is fetched at `token_url`."""

    token_url: str = ""
    client_id: str = ""
    client_secret: str = Field("", repr=False)
    scopes: Items[str] = ()


class BasicAuth(Model):
    """User name and password."""

    username: str = ""
    password: str = Field("", repr=False)


class Sigv4(Model):
    """Signatures of AWS; known by name only."""

    region: str = ""
    profile: str = ""
    role_arn: str = ""


class Google(Model):
    """Application default credentials of Google Cloud; known by name only."""

    scopes: Items[str] = ()


class Authentication(Model):
    """Argo Rollouts' ways to authenticate."""

    oauth2: OAuth2 = OAuth2()
    basic_auth: BasicAuth = BasicAuth()
    sigv4: Sigv4 | None = None
    google: Google | None = None

    def unsupported(self) -> list[str]:
        """Names of the ways that are asked for and that Tidegate does not know; `sigv4: {}` asks for nothing."""
        signed = self.sigv4 is not None and self.sigv4 != Sigv4()
        return ["sigv4"] * signed + ["google"] * (self.google is not None)
