"""Settings of the provider `datadog`."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.manifests.model import Model


class SecretRef(Model):
    """Secret with the credentials of a provider, in the run's namespace if `namespaced`, else in the controller's."""

    name: str = ""
    namespaced: bool = False


class Datadog(Model):
    """Datadog query or queries; `interval` is the window looked at and `request_timeout` a limit, both Go durations."""

    interval: str = ""
    query: str = ""
    queries: Mapping[str, str] = {}
    formula: str = ""
    api_version: str = ""
    aggregator: str = ""
    secret_ref: SecretRef | None = None
    request_timeout: str = ""

    def texts(self) -> dict[str, str]:
        """All queries by their name; the lone one is called `query`."""
        return {**({"query": self.query} if self.query else {}), **self.queries}
