"""Measurements by any server that answers in JSON: one request for each metric, all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import httpx
from temporalio import activity

from activities.authentication import Authorizer
from activities.http import Answer, exchange
from activities.measuring import Asked, Measuring, Outcome, Value, answer_each
from activities.outgoing import Outgoing
from activities.over_http import outcome
from activities.secrets import NamedSecrets
from activities.tls import trusting
from activities.web_request import Question, read_question
from activities.web_response import read_value
from tidegate.analysis.reading import Reading
from tidegate.contract import Activity, MeasureRequest
from tidegate.manifests.providers.web import Web as Provider

KEY = "web"


class Web:
    """Metric provider web.

    It differs from Argo where following it would be an accident: an answer that is no JSON is an error (Argo calls it a
    success), redirects are not followed (Argo sends headers and tokens along to any host), and `basicAuth` is sent
    (Argo reads it for Prometheus only, and asks without it here).
    """

    def __init__(self, secrets: NamedSecrets, http: Outgoing, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives unix seconds."""
        self._http = http
        self._authorizer = Authorizer(clock)
        self._measuring = Measuring(KEY, secrets, clock)

    @activity.defn(name=Activity.MEASURE_WEB)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        """One reading of each metric. Raises ApplicationError of type `RateLimited`."""
        return await self._measuring.readings(request, self)

    async def answer(self, asked: Sequence[Asked]) -> list[Outcome]:
        """One outcome for each metric, as `Provider` says."""
        return await answer_each(asked, self._answer)

    async def _answer(self, asked: Asked) -> Outcome:
        return await outcome(lambda: read_question(asked.read(Provider, KEY)), self._measure)

    async def _measure(self, question: Question) -> Value:
        async with trusting(self._http, insecure=question.insecure) as http:
            answer = await self._authorizer.exchange(
                http,
                question.access,
                lambda authorization: _ask(http, question, authorization),
                timeout=question.timeout,
            )
        return read_value(answer, question.url, question.path)


async def _ask(http: httpx.AsyncClient, question: Question, authorization: str) -> Answer:
    # What the manifest writes into `headers` comes before its `authentication`.
    headers = ({"Authorization": authorization} if authorization else {}) | dict(question.headers)
    return await exchange(
        http,
        question.method,
        str(question.url),
        timeout=question.timeout,
        headers=headers,
        content=question.content,
    )
