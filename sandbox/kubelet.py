"""The kubelet: makes each Pod of the Kubernetes API a real HTTP server of the demo app; a program of its own.

    python -m sandbox.kubelet --api http://127.0.0.1:8001

All pods live in this one process, each on its own port of 127.0.0.1, which stands in the pod's annotation
`sandbox.tidegate.io/host-port`. Pods that may end, as those of Jobs, do what `sandbox.task` reads in their command. It
runs until SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Coroutine

import aiohttp
import structlog
import uvloop
from aiohttp import web

from sandbox.checkout import Behaviour, UnknownImageError, application
from sandbox.documents import Document, Key
from sandbox.pods import PORT_ANNOTATION, PodSpec, PodStatus
from sandbox.processes import LOOPBACK
from sandbox.reflector import Reflector
from sandbox.task import Task

log = structlog.get_logger(__name__)

# A pod that is deleted first stops being ready and goes on answering this long: routes to it are taken away meanwhile.
DRAIN_SECONDS = 1.0
SHUTDOWN_SECONDS = 2.0
STARTING_PROBE_SECONDS = 0.2
PULL_BACKOFF_SECONDS = 1.0
RESTART_BACKOFF_SECONDS = 0.5
RETRY_SECONDS = 0.3
IDLE_SECONDS = 3600.0
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


class PodApi:
    """Writes to one Pod. A write is tried until the API server answers; a pod that is gone is no error."""

    def __init__(self, session: aiohttp.ClientSession, api: str, spec: PodSpec) -> None:
        self._session = session
        self._url = f"{api.rstrip('/')}/api/v1/namespaces/{spec.namespace}/pods/{spec.name}"
        self._uid = spec.uid

    async def annotate(self, name: str, value: str) -> None:
        """Set one annotation."""
        await self._send("PATCH", "", {"metadata": {"annotations": {name: value}}})

    async def write_status(self, status: Document) -> None:
        """Replace the fields of `.status` that `status` holds."""
        await self._send("PATCH", "/status", {"status": status})

    async def remove(self) -> None:
        """Delete the object at once: its containers have ended."""
        await self._send("DELETE", "", {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}})

    async def _send(self, method: str, subresource: str, body: Document) -> None:
        headers = MERGE_PATCH if method == "PATCH" else None
        while True:
            try:
                async with self._session.request(method, self._url + subresource, json=body, headers=headers) as answer:
                    if answer.status >= 500:
                        raise aiohttp.ClientError(f"{method} {answer.url}: {answer.status}")
                    if answer.status >= 400 and answer.status not in (404, 409):
                        log.error("write refused", url=str(answer.url), status=answer.status, body=await answer.text())
                    return
            except (aiohttp.ClientError, OSError) as error:
                log.debug("write failed", url=self._url, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)


class PodWorker:
    """The life of one pod, from its creation to its removal."""

    def __init__(self, session: aiohttp.ClientSession, api: str, spec: PodSpec) -> None:
        self.uid = spec.uid
        self.ending = asyncio.Event()  # a deletion was asked for
        self.grace = DRAIN_SECONDS + SHUTDOWN_SECONDS
        self._spec = spec
        self._session = session
        self._api = PodApi(session, api, spec)
        self._status = PodStatus(spec)

    def end(self, grace: float) -> None:
        """Ask it to end within `grace` seconds."""
        self.grace = min(self.grace, grace)
        self.ending.set()

    async def run(self) -> None:
        """Live until `end` was called and the object is removed."""
        if not self.ending.is_set():
            try:
                life = self._life()
            except UnknownImageError as error:
                await self._wait_for_image(str(error))
            except ValueError as error:
                await self._api.write_status(self._status.waiting("CreateContainerConfigError", str(error)))
                await self.ending.wait()
            else:
                await life
        await self._api.remove()

    def _life(self) -> Coroutine[None, None, None]:
        """Raises UnknownImageError for an image, ValueError for a variable of its environment."""
        if self._spec.restart_policy == "Always":
            return self._serve(self._spec.behaviour())
        return self._carry_out(self._spec.task())

    async def _carry_out(self, task: Task) -> None:
        """Do what the containers of a Job do, again and again where they are to succeed."""
        done = self._spec.finished
        while not done:
            await self._api.write_status(self._status.running(ready=True))
            if await self._ending_within(task.seconds):
                return
            if done := not task.exit_code or self._spec.restart_policy == "Never":
                await self._api.write_status(self._status.ended(task.exit_code))
            elif await self._ending_within(RESTART_BACKOFF_SECONDS):
                return
            self._status.restarts += 1
        await self.ending.wait()

    async def _wait_for_image(self, message: str) -> None:
        """Alternate as a kubelet does between an attempt to pull and the wait for the next one."""
        await self._api.write_status(self._status.waiting("ErrImagePull", f"failed to pull image: {message}"))
        if not await self._ending_within(PULL_BACKOFF_SECONDS):
            await self._api.write_status(self._status.waiting("ImagePullBackOff", f"back-off pulling image: {message}"))
            await self.ending.wait()

    async def _serve(self, does: Behaviour) -> None:
        async with _listening(application(does, self._spec.name, self._spec.pod_hash)) as port:
            await self._api.annotate(PORT_ANNOTATION, str(port))
            await self._api.write_status(self._status.running(ready=False))
            await self._probe(f"http://{LOOPBACK}:{port}{self._spec.probe.path}")
            await self._api.write_status(self._status.running(ready=False))
            await asyncio.sleep(min(DRAIN_SECONDS, self.grace))

    async def _probe(self, url: str) -> None:
        """Keep the Ready condition true to the probe until the pod is to end."""
        probe = self._spec.probe
        ready, failures = False, 0
        wait = probe.initial_delay
        while not await self._ending_within(wait):
            passed = await self._passes(url, probe.timeout)
            failures = 0 if passed else failures + 1
            if passed != ready and (passed or failures >= probe.failure_threshold):
                ready = passed
                await self._api.write_status(self._status.running(ready=ready))
            wait = probe.period if ready else min(STARTING_PROBE_SECONDS, probe.period)

    async def _passes(self, url: str, timeout: float) -> bool:
        try:
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=timeout)) as answer:
                return 200 <= answer.status < 400
        except (aiohttp.ClientError, OSError):
            return False

    async def _ending_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), seconds)
        return self.ending.is_set()


class Kubelet:
    """One node that runs every Pod of the API server."""

    def __init__(self, session: aiohttp.ClientSession, api: str) -> None:
        self._session = session
        self._api = api
        self._pods = Reflector(session, api, "/api/v1/pods", self._changed)
        self._workers: dict[Key, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by uid: a name may be used again before its last pod ended

    async def run(self) -> None:
        """Run pods until cancelled; they end with it."""
        try:
            await self._pods.run()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _changed(self, key: Key) -> None:
        pod = self._pods.objects.get(key)
        spec = PodSpec.read(pod) if pod is not None else None
        worker = self._workers.get(key)
        if worker is not None and (spec is None or spec.uid != worker.uid):
            del self._workers[key]
            if worker.uid in self._tasks:
                self._tasks[worker.uid].cancel()  # removed by force: there is nobody left to drain for
            worker = None
        if spec is None:
            return
        if worker is None:
            worker = self._start(key, spec)
        if spec.grace is not None:
            worker.end(spec.grace)

    def _start(self, key: Key, spec: PodSpec) -> PodWorker:
        worker = PodWorker(self._session, self._api, spec)
        task = asyncio.create_task(worker.run(), name=f"pod {spec.namespace}/{spec.name}")
        task.add_done_callback(lambda done: self._finished(spec, done))
        self._workers[key] = worker
        self._tasks[spec.uid] = task
        return worker

    def _finished(self, spec: PodSpec, task: asyncio.Task[None]) -> None:
        del self._tasks[spec.uid]
        if not task.cancelled() and task.exception() is not None:
            log.error("pod failed", pod=f"{spec.namespace}/{spec.name}", exc_info=task.exception())


@contextlib.asynccontextmanager
async def _listening(app: web.Application) -> AsyncIterator[int]:
    """Serve `app` on a free port of 127.0.0.1, which is yielded; at the end requests under way are finished."""
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_SECONDS, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def serve(api: str) -> None:
    """Run a kubelet for the API server at `api` until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        kubelet = asyncio.create_task(Kubelet(session, api).run())
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, kubelet.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await kubelet


def main(argv: list[str]) -> None:
    """Entry point of `python -m sandbox.kubelet`."""
    parser = argparse.ArgumentParser(prog="sandbox.kubelet", description="Run the Pods of a Kubernetes API server.")
    parser.add_argument("--api", required=True, help="its URL, such as http://127.0.0.1:8001")
    uvloop.run(serve(parser.parse_args(argv).api))


if __name__ == "__main__":
    main(sys.argv[1:])
