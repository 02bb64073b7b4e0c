"""Settings of the provider `web`."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from tidegate.manifests.model import Int64, Items, Model
from tidegate.manifests.providers.authentication import Authentication, Header
from tidegate.manifests.providers.limits import LONGEST_TIMEOUT

KEY: Final = "web"
DEFAULT_TIMEOUT: Final = 10
METHODS: Final = ("GET", "POST", "PUT")


class Web(Model):
    """A request whose answer is JSON; `timeout_seconds` is whole seconds, `json_path` a path in Kubernetes' dialect."""

    method: str = ""
    url: str = ""
    headers: Items[Header] = ()
    body: str = ""
    json_body: JsonValue = None
    timeout_seconds: Int64 = 0
    json_path: str = ""
    insecure: bool = False
    authentication: Authentication = Authentication()

    @property
    def limit(self) -> int:
        """Seconds that a measurement may take; 0 and less in a manifest mean the default, as in Argo."""
        return min(self.timeout_seconds, LONGEST_TIMEOUT) if self.timeout_seconds > 0 else DEFAULT_TIMEOUT

    @property
    def verb(self) -> str:
        """The HTTP method, GET where none is given."""
        return self.method or METHODS[0]

    def contradiction(self) -> tuple[str, str] | None:
        """Field and text of what cannot be asked; the texts about bodies are Argo's."""
        if not self.url:
            return "url", "url is required"
        if self.verb not in METHODS:
            return "method", f"{self.method!r} is none of {', '.join(METHODS)}"
        if self.body and self.json_body is not None:
            return "jsonBody", "use either Body or JSONBody; both cannot exists for WebMetric payload"
        if self.verb == METHODS[0] and (self.body or self.json_body is not None):
            return "method", "Body/JSONBody can only be used with POST or PUT WebMetric Method types"
        return None
