"""The embedded Slack answers as the Web API's reference says, where a bot would notice the difference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.rate_limit import RateLimit
from sandbox.slack.server import WEBHOOK_CHANNEL, SlackApi

AUTHORIZATION = {"Authorization": "Bearer xoxb-test"}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[SlackApi]:
    api = SlackApi(token="xoxb-test", webhook_key="key", clock=lambda: 1_700_000_000.0)
    await api.start()
    yield api
    await api.stop()


async def ask(api: SlackApi, method: str, authorization: str = AUTHORIZATION["Authorization"], **query: str) -> Any:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{api.url}/{method}", params=query, headers={"Authorization": authorization})
    return answer.json()


async def post(api: SlackApi, **body: Any) -> Any:
    async with httpx.AsyncClient() as http:
        return (await http.post(f"{api.url}/chat.postMessage", json=body, headers=AUTHORIZATION)).json()


async def test_metadata_is_shown_on_request_only(api: SlackApi) -> None:
    metadata = {"event_type": "x", "event_payload": {"id": "1"}}
    posted = await post(api, channel="#releases", text="hello", metadata=metadata)
    plain = await ask(api, "conversations.history", channel=posted["channel"])
    shown = await ask(api, "conversations.history", channel=posted["channel"], include_all_metadata="true")
    assert plain["messages"] == [{"type": "message", "ts": posted["ts"], "text": "hello"}]
    assert shown["messages"][0]["metadata"] == metadata


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"channel": "releases"}, "channel_not_found"),  # a name is understood by chat.postMessage alone
        ({"channel": "C00000001", "oldest": "x"}, "invalid_ts_oldest"),
        ({"channel": "C00000001", "cursor": "x"}, "invalid_cursor"),
        ({"channel": "C00000001", "limit": "0"}, "invalid_limit"),
    ],
)
async def test_what_a_history_is_not_given_for(api: SlackApi, query: dict[str, str], error: str) -> None:
    assert await ask(api, "conversations.history", **query) == {"ok": False, "error": error}


@pytest.mark.parametrize(
    ("authorization", "error"), [("", "not_authed"), ("Basic x", "not_authed"), ("Bearer x", "invalid_auth")]
)
async def test_who_may_not_enter(api: SlackApi, authorization: str, error: str) -> None:
    answer = await ask(api, "conversations.list", authorization=authorization)
    assert answer == {"ok": False, "error": error}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"channel": "releases"}, "no_text"),
        ({"channel": "other", "text": "x"}, "channel_not_found"),
        ({"channel": "releases", "text": "x", "metadata": {"event_type": 1}}, "invalid_metadata_format"),
    ],
)
async def test_what_is_not_posted(api: SlackApi, body: dict[str, Any], error: str) -> None:
    assert await post(api, **body) == {"ok": False, "error": error}
    assert api.channels["releases"].messages == []


async def test_the_limit_is_told_with_the_seconds_to_wait(api: SlackApi) -> None:
    api.listing = RateLimit(limit=0, period=60)
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{api.url}/conversations.list", headers=AUTHORIZATION)
    assert (answer.status_code, answer.json()["error"]) == (429, "ratelimited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


async def test_an_incoming_webhook_answers_in_words(api: SlackApi) -> None:
    async with httpx.AsyncClient() as http:
        answers = [
            await http.post(api.webhook_url, json={"text": "hello"}),
            await http.post(api.webhook_url, content="{"),
            await http.post(f"{api.webhook_url}x", json={"text": "hello"}),
        ]
    assert [(each.status_code, each.text) for each in answers] == [
        (200, "ok"),
        (400, "invalid_payload"),
        (404, "no_service"),
    ]
    assert [each.text for each in api.channels[WEBHOOK_CHANNEL].messages] == ["hello"]
