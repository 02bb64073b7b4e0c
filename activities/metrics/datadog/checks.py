"""Check of Datadog: both keys, each by a read that needs it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio import activity

from activities.metrics.datadog.access import DatadogAccess
from activities.metrics.datadog.client import DatadogClient
from activities.metrics.datadog.credentials import CredentialsError
from activities.metrics.datadog.request import Window
from activities.metrics.provider import RateLimitedError
from activities.transport.checks import wrong
from activities.transport.http import HttpResponse, TransportError
from tidegate.contract import Activity, Check, Checks, CheckSystems

TIMEOUT: Final = timedelta(seconds=10)
QUERY: Final = "avg:datadog.estimated_usage.hosts{*}"  # any series: the keys are judged, not the answer
MINUTE: Final = 60
API_KEY, APP_KEY = "Datadog API key", "Datadog application key"
REACH: Final = "curl -sS https://api.datadoghq.com/api/v1/validate; then set TIDEGATE_DATADOG__ADDRESS to your site"


class DatadogChecks:
    """The activity that checks the keys that a metric without `secretRef` has."""

    def __init__(self, access: DatadogAccess, path: str) -> None:
        """`path` is where the keys stand in the store of secrets."""
        self._access = access
        self._path = path

    @activity.defn(name=Activity.CHECK_DATADOG)
    async def check(self, request: CheckSystems) -> Checks:
        """Validate the API key, then ask for one minute of one metric, which needs the application key as well."""
        try:
            await self._access.finder.find(None, request.namespace, fresh=True)
            validated = await self._access.send(lambda client: client.validate(), None, request.namespace, TIMEOUT)
            first = self._judged(API_KEY, validated)
            if first.remedy:
                return Checks(checks=(first,))
            answer = await self._access.send(self._minute, None, request.namespace, TIMEOUT)
            return Checks(checks=(first, self._judged(APP_KEY, answer)))
        except CredentialsError as error:
            return Checks(checks=(wrong(API_KEY, str(error), self._put("api-key")),))
        except TransportError as error:
            return Checks(checks=(wrong("Datadog", str(error), REACH),))
        except RateLimitedError:
            return Checks(checks=(Check(name="Datadog", detail="answers that the rate limit is used up for now"),))

    async def _minute(self, client: DatadogClient) -> HttpResponse:
        end = int(self._access.clock())
        return await client.query(QUERY, Window(start=end - MINUTE, end=end))

    def _judged(self, name: str, answer: HttpResponse) -> Check:
        if answer.status in (401, 403):
            key = "api-key" if name == API_KEY else "app-key"
            return wrong(name, f"Datadog refuses it ({answer.status})", self._put(key))
        if answer.status >= 500:
            return wrong(name, f"Datadog answers {answer.status}", "see https://status.datadoghq.com, and repeat this")
        return Check(name=name, detail="valid")

    def _put(self, key: str) -> str:
        """The command that puts a key where it is looked for."""
        return f"vault kv patch {self._path} {key}=..."
