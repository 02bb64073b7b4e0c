"""The demo applications `checkout` and `cart`: what an image tag makes of them, and their HTTP handlers.

    tag                         behaviour
    1.0.0, 2.3.1-rc.1, 9f8d111d good: p99 about 80 ms, no errors (a semantic version, or 7 to 40 digits of a commit)
    <tag>-bad                   answers 500 to about 20 % of the requests
    <tag>-slow                  p99 about 800 ms: ten times that of a good one
    <tag>-unready               runs, but its health check fails
    <tag>-worse                 fails twice as often as a good one
    <tag>-silent                takes requests and answers 5 % of them

A good `checkout` has no errors, a good `cart` answers 500 to 2 % of its requests. The container's environment overrides
the tag: CHECKOUT_ERROR_RATE (0 to 1) and CHECKOUT_LATENCY_MS (p99). Any other image is not in the registry.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import web

GOOD_P99_MS = 80.0
SLOW_P99_MS = 800.0
BAD_ERROR_RATE = 0.2
CART_ERROR_RATE = 0.02
WORSE = 2.0
SILENT_SHARE = 0.95
SILENT_SECONDS = 15.0  # by then whoever asked has given up
MAX_LATENCY_MS = 60_000.0

# Latencies are log-normal, and so narrow that the p99 of a hundred requests is already near the true one.
P99_TO_MEDIAN = 1.6
SIGMA = math.log(P99_TO_MEDIAN) / 2.3263  # the 99th percentile of the normal distribution is 2.3263

_IMAGE = re.compile(
    r"(?:[\w.:-]+/)*(?P<app>checkout|cart):"
    r"(?P<version>\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)[.\d]*)?|[0-9a-f]{7,40})"
    r"(?:-(?P<fault>bad|slow|unready|worse|silent))?"
)


@dataclass(frozen=True)
class Behaviour:
    """How a version behaves: share of 500s and of requests without any answer (0 to 1), p99 in ms, health check."""

    version: str
    error_rate: float = 0.0
    p99_ms: float = GOOD_P99_MS
    ready: bool = True
    silent: float = 0.0

    def latency(self) -> float:
        """A random latency in seconds; never more than twice the p99."""
        median = self.p99_ms / P99_TO_MEDIAN
        return min(median * math.exp(random.gauss(0.0, SIGMA)), 2 * self.p99_ms) / 1000


class UnknownImageError(LookupError):
    """The registry has no such image."""


def behaviour(image: str, env: Mapping[str, str]) -> Behaviour:
    """What a container of `image` does with this environment.

    Raises UnknownImageError for an image that is not in the registry, ValueError for a variable out of its range.
    """
    found = _IMAGE.fullmatch(image)
    if found is None:
        raise UnknownImageError(f"{image}: not found")
    usual = CART_ERROR_RATE if found["app"] == "cart" else 0.0
    result = Behaviour(image.rpartition(":")[2], error_rate=usual)
    match found["fault"]:
        case "bad":
            result = replace(result, error_rate=BAD_ERROR_RATE)
        case "slow":
            result = replace(result, p99_ms=SLOW_P99_MS)
        case "unready":
            result = replace(result, ready=False)
        case "worse":
            result = replace(result, error_rate=WORSE * usual)
        case "silent":
            result = replace(result, silent=SILENT_SHARE)
    return replace(
        result,
        error_rate=_number(env, "CHECKOUT_ERROR_RATE", result.error_rate, 1.0),
        p99_ms=_number(env, "CHECKOUT_LATENCY_MS", result.p99_ms, MAX_LATENCY_MS),
    )


def application(does: Behaviour, pod: str, pod_hash: str) -> web.Application:
    """The app of one pod: every path answers JSON with version, pod and hash, `/healthz` whether it is ready."""
    identity = {"version": does.version, "pod": pod, "hash": pod_hash}

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"ready": does.ready}, status=200 if does.ready else 503)

    async def checkout(_: web.Request) -> web.Response:
        if random.random() < does.silent:
            await asyncio.sleep(SILENT_SECONDS)
            return web.Response(status=504)
        await asyncio.sleep(does.latency())
        if random.random() < does.error_rate:
            return web.json_response(identity | {"error": "the order could not be placed"}, status=500)
        return web.json_response(identity)

    app = web.Application()
    app.router.add_get("/healthz", health)
    app.router.add_route("*", "/{path:.*}", checkout)
    return app


def _number(env: Mapping[str, str], name: str, default: float, most: float) -> float:
    text = env.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise ValueError(f"{name}: {text!r} is not a number from 0 to {most:g}")
    return value
