"""Requests in a table: what is asked, what is answered, and what of an answer later requests name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import httpx

from sandbox.machine import patience

Object = dict[str, Any]

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

BOTH, TIDEGATE, ARGO = "", "tidegate", "argo"
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Has:
    """A text that contains this."""

    part: str


@dataclass(frozen=True)
class Exactly:
    """This and nothing beside it; elsewhere a mapping may have more than what is expected of it."""

    value: Any


@dataclass(frozen=True)
class Not:
    """Anything but this, that is there."""

    value: Any


@dataclass(frozen=True)
class Among:
    """A list that has an item like each of these, in any order, and no more unless it may have."""

    items: Sequence[Any]
    more: bool = False


class _Absent:
    """No value at all."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True)
class Ask:
    """One request. In `path`, `body` and `says`, the text `$name` stands for what an earlier answer had under `keep`.

    Attributes:
        code: the HTTP status of the answer.
        says: what the answer contains: mappings may have more, lists not.
        keep: fields of the answer by the name that later requests give them.
        token: a credential that is kept; empty for the administrator's.
        seconds: how long the server may take until it answers so; 0 where it has to at once.
    """

    method: str
    path: str
    code: int
    says: Any = None
    body: Any = None
    content_type: str = JSON
    keep: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: str = ""
    seconds: float = 0.0

    def kept(self, **keep: str) -> Ask:
        """The same, whose answer's fields (dotted paths) are named."""
        return replace(self, keep={name: tuple(path.split(".")) for name, path in keep.items()})

    def by(self, token: str) -> Ask:
        """The same with a kept token."""
        return replace(self, token=token)

    def within(self, seconds: float) -> Ask:
        """The same, asked again until it is answered so: for what a controller does."""
        return replace(self, seconds=seconds)


@dataclass(frozen=True)
class Watch:
    """A watch, what happens meanwhile, and the events that it has told then, in order; bookmarks only if asked for."""

    path: str
    events: Sequence[tuple[str, Any]]
    meanwhile: Sequence[Ask] = ()


@dataclass(frozen=True)
class Row:
    """Requests that belong together. `under` says under whose CRDs they are answered so.

    Attributes:
        refused: a group, a resource and the words by which admission refuses updates of it, in this row's namespace.
    """

    name: str
    steps: Sequence[Ask | Watch]
    under: str = BOTH
    refused: tuple[str, str, str] | None = None


class Server(Protocol):
    """An API server that rows are asked of."""

    http: httpx.AsyncClient

    def bearer(self, token: str) -> httpx.AsyncClient:
        """A client of somebody else."""

    def refusing(self, namespace: str, group: str, resource: str, words: str) -> Any:
        """While this is entered, admission refuses updates."""


class Asking:
    """One row's way through a server, in one namespace."""

    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._kept: dict[str, Any] = {"ns": namespace}

    async def row(self, row: Row) -> None:
        """Ask all of a row. An answer that differs fails."""
        async with AsyncExitStack() as stack:
            if row.refused:
                await stack.enter_async_context(self._server.refusing(self._kept["ns"], *row.refused))
            for number, step in enumerate(row.steps, 1):
                await (self._watch(step) if isinstance(step, Watch) else self._ask(step, number))

    async def _ask(self, step: Ask, number: int | str) -> None:
        end = asyncio.get_running_loop().time() + patience(step.seconds)
        while True:
            code, answer = await self._exchange(step)
            wrong = [f"status {code} and not {step.code}"] if code != step.code else []
            wrong += differences(self._filled(step.says), answer) if step.says is not None else []
            if not wrong or not step.seconds or asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(POLL_SECONDS)
        told = "\n  ".join(wrong)
        asked = f"{number}. {step.method} {self._filled(step.path)}"
        assert not wrong, f"{asked}:\n  {told}\n  answered {code}: {json.dumps(answer)[:3000]}"
        self._kept |= {name: _at(answer, path) for name, path in step.keep.items()}

    async def _exchange(self, step: Ask) -> tuple[int, Any]:
        body = self._filled(step.body)
        content = None if body is None else body if isinstance(body, str) else json.dumps(body)
        headers = {} if body is None else {"Content-Type": step.content_type}
        if not step.token:
            return await _answer(self._server.http, step.method, self._filled(step.path), content, headers)
        async with self._server.bearer(self._kept.get(step.token, step.token)) as http:
            return await _answer(http, step.method, self._filled(step.path), content, headers)

    async def _watch(self, watch: Watch) -> None:
        seen: list[Any] = []
        async with (
            asyncio.timeout(patience(30)),
            self._server.http.stream("GET", self._filled(watch.path), timeout=None) as answer,
        ):
            assert answer.status_code == 200, (await answer.aread()).decode()
            for number, step in enumerate(watch.meanwhile, 1):
                await self._ask(step, f"meanwhile {number}")
            async for line in answer.aiter_lines():
                seen.append(json.loads(line))
                if len(seen) == len(watch.events):
                    break
        wanted = [{"type": kind, "object": self._filled(each)} for kind, each in watch.events]
        wrong = differences(wanted, seen)
        assert not wrong, (
            f"watch {self._filled(watch.path)}:\n  " + "\n  ".join(wrong) + f"\n  {json.dumps(seen)[:3000]}"
        )

    def _filled(self, value: Any) -> Any:
        """`value` with what was kept in the place of its names."""
        if isinstance(value, dict):
            return {self._filled(key): self._filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        if isinstance(value, Has):
            return Has(self._filled(value.part))
        if isinstance(value, Exactly):
            return Exactly(self._filled(value.value))
        if isinstance(value, Not):
            return Not(self._filled(value.value))
        if isinstance(value, Among):
            return Among([self._filled(each) for each in value.items], value.more)
        if not isinstance(value, str) or "$" not in value:
            return value
        if value[1:] in self._kept:
            return self._kept[value[1:]]
        for name, kept in self._kept.items():
            value = value.replace(f"${name}", str(kept))
        return value


async def _answer(
    http: httpx.AsyncClient, method: str, path: str, content: str | None, headers: dict[str, str]
) -> tuple[int, Any]:
    answer = await http.request(method, path, content=content, headers=headers)
    return answer.status_code, answer.json()


def _at(answer: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        answer = answer[int(part)] if isinstance(answer, list) else answer[part]
    return answer


def differences(wanted: Any, found: Any, where: str = "", *, whole: bool = False) -> list[str]:
    """What of `found` is not as `wanted`, by its place; with `whole` mappings may have nothing beside."""
    if isinstance(wanted, Exactly):
        return differences(wanted.value, found, where, whole=True)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return list(_of_mappings(wanted, found, where, whole=whole))
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [each for i, (one, other) in pairs for each in differences(one, other, f"{where}[{i}]", whole=whole)]
    if isinstance(wanted, Among) and isinstance(found, list):
        return _of_any_order(wanted, found, where)
    if isinstance(wanted, Has):
        holds = isinstance(found, str) and wanted.part in found
    elif isinstance(wanted, Not):
        holds = found is not ABSENT and found != wanted.value
    else:
        holds = found is wanted if wanted is ABSENT else type(found) is type(wanted) and found == wanted
    return [] if holds else [f"{where or 'answer'}: {found!r} and not {wanted!r}"]


def _of_mappings(wanted: Object, found: Object, where: str, *, whole: bool) -> Iterator[str]:
    for key in [*wanted, *(found.keys() - wanted.keys() if whole else ())]:
        yield from differences(wanted.get(key, ABSENT), found.get(key, ABSENT), f"{where}.{key}", whole=whole)


def _of_any_order(wanted: Among, found: list[Any], where: str) -> list[str]:
    left, wrong = list(found), []
    for each in wanted.items:
        like = next((one for one in left if not differences(each, one)), None)
        if like is None:
            wrong.append(f"{where}: nothing like {each!r}")
        else:
            left.remove(like)
    return wrong + ([f"{where}: besides {left!r}"] if left and not wanted.more and not wrong else [])


def get(path: str, code: int = 200, says: Any = None) -> Ask:
    """Read an object or a list."""
    return Ask("GET", path, code, says)


def post(path: str, body: Any, code: int = 201, says: Any = None, content_type: str = JSON) -> Ask:
    """Create an object."""
    return Ask("POST", path, code, says, body, content_type)


def put(path: str, body: Any, code: int = 200, says: Any = None) -> Ask:
    """Replace an object."""
    return Ask("PUT", path, code, says, body)


def merge(path: str, body: Any, code: int = 200, says: Any = None) -> Ask:
    """Send a JSON merge patch."""
    return Ask("PATCH", path, code, says, body, MERGE_PATCH)


def patch(path: str, operations: Any, code: int = 200, says: Any = None) -> Ask:
    """Send a JSON Patch."""
    return Ask("PATCH", path, code, says, operations, JSON_PATCH)


def strategic(path: str, body: Any, code: int = 200, says: Any = None) -> Ask:
    """Send a strategic merge patch."""
    return Ask("PATCH", path, code, says, body, STRATEGIC_PATCH)


def apply(path: str, body: Any, code: int = 200, says: Any = None) -> Ask:
    """Apply on the server; the path has to name the field manager."""
    return Ask("PATCH", path, code, says, body, APPLY_PATCH)


def delete(path: str, code: int = 200, says: Any = None, body: Any = None) -> Ask:
    """Delete an object or a collection."""
    return Ask("DELETE", path, code, says, body)
