"""The Job provider when the Kubernetes API refuses, is away, is busy, or talks nonsense."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from temporalio.exceptions import ApplicationError

from activities.kubernetes.answers import MAX_RESPONSE_BYTES
from tests.activities.job_api import NAME, PENDING, UID, metric, provider_at
from tests.activities.outside import Script
from tidegate.analysis.reading import Reading
from tidegate.analysis.status import Phase
from tidegate.contract import ErrorType, job_name


def rejection(message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message}


def job(uid: str = UID, **status: Any) -> dict[str, Any]:
    labels = {"analysisrun.argoproj.io/uid": uid}
    metadata = {"name": NAME, "uid": "1", "creationTimestamp": "1970-01-01T00:00:00Z", "labels": labels}
    return {"metadata": metadata, "status": status}


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def unsettled(reading: Reading) -> bool:
    """Whether the reading is an Error that names a Job which may be there."""
    said = reading.verdict
    return said is not None and said.phase is Phase.ERROR and reading.metadata.get("job-name") == NAME


@pytest.mark.parametrize("status", [401, 403, 422, 400])
async def test_a_creation_that_is_refused_is_an_error_with_the_apis_words(status: int) -> None:
    async with (
        Script().then(status, rejection("jobs.batch is forbidden")) as server,
        provider_at(server.url) as provider,
    ):
        [reading] = await provider.look(metric())
    assert f"{status} jobs.batch is forbidden" in reading.error
    assert (reading.metadata, reading.verdict) == ({}, None), "there is no Job to be ended"
    assert [seen.method for seen in server.seen] == ["POST"]


async def test_a_creation_that_is_cut_off_may_have_left_a_job() -> None:
    async with Script().then_do(cut) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric())
    assert unsettled(reading)


async def test_a_creation_that_takes_too_long_may_have_left_a_job() -> None:
    asked = asyncio.Event()

    async def too_late(_: web.Request) -> web.StreamResponse:
        await asked.wait()
        return web.json_response(job())

    async with Script().then_do(too_late) as server, provider_at(server.url, timeout=0.05) as provider:
        [reading] = await provider.look(metric())
        asked.set()
    assert unsettled(reading)
    assert reading.verdict is not None
    assert "TimeoutError" in reading.verdict.message


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"metadata": 7}', b"\xff"])
async def test_nonsense_may_stand_for_a_job(body: bytes) -> None:
    async with Script().then(201, body) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric())
    assert unsettled(reading)


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_error_may_have_left_a_job(status: int) -> None:
    async with Script().then(status, rejection("etcd is away")) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric())
    assert unsettled(reading)
    assert reading.verdict is not None
    assert f"{status} etcd is away" in reading.verdict.message


async def test_an_answer_that_is_too_large_is_an_error() -> None:
    async with Script().then(200, b" " * (MAX_RESPONSE_BYTES + 1)) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric(), pending=PENDING)
    assert unsettled(reading)
    assert reading.verdict is not None
    assert "is over the limit" in reading.verdict.message


@pytest.mark.parametrize(
    ("headers", "delay"), [({"Retry_After": "7"}, timedelta(seconds=7)), ({}, timedelta(seconds=10))]
)
@pytest.mark.parametrize("pending", [{}, PENDING])
async def test_a_busy_api_is_left_alone_for_as_long_as_it_says(headers: Any, delay: timedelta, pending: Any) -> None:
    async with Script().then(429, rejection("slow down"), **headers) as server, provider_at(server.url) as provider:
        with pytest.raises(ApplicationError) as caught:
            await provider.look(metric(), pending=pending)
    assert (caught.value.type, caught.value.next_retry_delay) == (ErrorType.RATE_LIMITED, delay)


async def test_a_job_out_of_sight_is_waited_for_and_not_for_ever() -> None:
    async with Script().then(503, rejection("etcd is away")) as server, provider_at(server.url) as provider:
        pending = PENDING
        for _ in range(31):
            [reading] = await provider.look(metric(), pending=pending)
            assert reading.resume_at == reading.finished_at + timedelta(seconds=10)
            assert "is out of sight: Kubernetes API" in reading.notes[0]
            provider.now += 10
            pending = {"smoke": reading.metadata}
        [reading] = await provider.look(metric(), pending=pending)
    assert unsettled(reading)
    assert reading.verdict is not None
    assert "is out of sight since 1970-01-01T00:00:00+00:00: " in reading.verdict.message
    assert len(server.seen) == 32, "the client itself asks only once"


async def test_a_job_that_is_seen_again_starts_the_wait_anew() -> None:
    script = Script().then(503).then(200, job(active=1, ready=1)).then(503)
    async with script as server, provider_at(server.url) as provider:
        pending = PENDING
        for _ in range(3):
            [reading] = await provider.look(metric(), pending=pending)
            provider.now += 200
            pending = {"smoke": reading.metadata}
    assert reading.metadata["out-of-sight-since"] == "1970-01-01T00:06:40+00:00"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_look_that_is_refused_is_an_error(status: int) -> None:
    async with Script().then(status, rejection("no")) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric(), pending=PENDING)
    assert unsettled(reading)


async def test_a_job_with_both_ends_has_failed() -> None:
    conditions = [
        {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"},
        {"type": "Complete", "status": "True"},
        {"type": "Suspended", "status": "False"},
    ]
    async with Script().then(200, job(conditions=conditions)) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric(), pending=PENDING)
    assert reading.verdict is not None
    assert (reading.verdict.phase, reading.verdict.message) == (Phase.FAILED, "DeadlineExceeded")


async def test_a_condition_that_does_not_hold_is_no_end() -> None:
    conditions = [{"type": "Complete", "status": "False"}, {"type": "FailureTarget", "status": "True"}]
    async with Script().then(200, job(conditions=conditions)) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric(), pending=PENDING)
    assert reading.verdict is None
    assert reading.resume_at is not None


@pytest.mark.parametrize("status", [200, 403, 500])
async def test_pods_that_cannot_be_seen_disturb_nothing(status: int) -> None:
    odd = {"items": [{"status": {"containerStatuses": "many"}}]}
    async with Script().then(200, job(active=1)).then(status, odd) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric(), pending=PENDING)
    assert (reading.error, reading.verdict) == ("", None)
    assert server.seen[1].query["labelSelector"] == f"job-name={NAME}"


async def test_an_old_job_that_cannot_be_deleted_disturbs_nothing() -> None:
    new = job(active=1, ready=1)
    async with Script().then(201, new).then(500) as server, provider_at(server.url) as provider:
        [reading] = await provider.look(metric(), numbers={"smoke": 9}, retention={"smoke": 3})
    assert (reading.error, reading.verdict) == ("", None)
    assert server.seen[1].path.endswith(f"/jobs/{job_name(UID, 'smoke', 6)}")


async def test_every_job_is_ended_though_one_cannot_be() -> None:
    script = Script().then(500).then(200, job()).then(200, {})
    async with script as server, provider_at(server.url) as provider:
        with pytest.raises(ApplicationError) as caught:
            await provider.end("first", "second")
    assert (caught.value.type, caught.value.non_retryable) == (ErrorType.UNAVAILABLE, False)
    [last] = [seen for seen in server.seen if seen.method == "DELETE"]
    assert last.path.endswith("/jobs/second")
    assert last.json == {"propagationPolicy": "Foreground", "preconditions": {"uid": "1"}}
