"""Settings of the provider `prometheus`."""

from __future__ import annotations

from typing import Final

from tidegate.manifests.model import Int64, Items, Model
from tidegate.manifests.providers.authentication import Authentication, Header
from tidegate.manifests.providers.limits import LONGEST_TIMEOUT

KEY: Final = "prometheus"
DEFAULT_TIMEOUT: Final = 30


class RangeQuery(Model):
    """A range instead of a moment: `start` and `end` are expressions with a time as value, `step` is a Go duration."""

    start: str = ""
    end: str = ""
    step: str = ""


class Prometheus(Model):
    """A PromQL query; `timeout` is in whole seconds, `ca_cert` PEM in the place of the system's authorities."""

    address: str = ""
    query: str = ""
    authentication: Authentication = Authentication()
    timeout: Int64 | None = None
    insecure: bool = False
    ca_cert: str = ""
    headers: Items[Header] = ()
    range_query: RangeQuery | None = None

    @property
    def limit(self) -> int:
        """Seconds that a measurement may take; 0 and less when the manifest leaves it no time."""
        return DEFAULT_TIMEOUT if self.timeout is None else min(self.timeout, LONGEST_TIMEOUT)
