"""Who is attended to next: namespaces take turns, however much one of them asks for."""

from __future__ import annotations

import asyncio

from activities.kubernetes.turns import Turns


class Line:
    """People who want a turn, and the order in which they got one."""

    def __init__(self, at_once: int) -> None:
        self.turns = Turns(at_once)
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, *names: str) -> None:
        """Each is `namespace/name`."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._have(name))
        await self._settle()

    async def _have(self, name: str) -> None:
        async with self.turns.of(name.partition("/")[0]):
            self.begun.append(name)
            await self._ends[name].wait()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._settle()

    async def leave(self, name: str) -> None:
        self.tasks[name].cancel()
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_one_that_comes_last_of_another_namespace_is_next() -> None:
    line = Line(2)
    await line.join("many/0", "many/1", "many/2", "many/3", "few/0")
    assert line.begun == ["many/0", "many/1"]
    await line.end("many/0")
    assert line.begun[2:] == ["few/0"]
    await line.end("few/0")
    await line.end("many/1")
    assert line.begun[3:] == ["many/2", "many/3"]


async def test_namespaces_with_as_many_take_turns_and_alone_one_has_all() -> None:
    line = Line(1)
    await line.join("a/0", "a/1", "a/2", "b/0", "b/1")
    for name in ("a/0", "a/1", "b/0", "a/2"):
        await line.end(name)
    assert line.begun == ["a/0", "a/1", "b/0", "a/2", "b/1"]
    alone = Line(3)
    await alone.join("a/0", "a/1", "a/2", "a/3")
    assert alone.begun == ["a/0", "a/1", "a/2"]


async def test_who_leaves_while_waiting_or_with_a_turn_keeps_none() -> None:
    line = Line(1)
    await line.join("a/0", "a/1", "b/0", "b/1")
    await line.leave("b/0")
    await line.end("a/0")
    await line.leave("a/1")
    assert line.begun == ["a/0", "a/1", "b/1"]
    await line.end("b/1")
    await line.join("c/0")
    assert line.begun[3:] == ["c/0"]


async def test_a_turn_that_was_given_to_one_who_leaves_goes_on() -> None:
    line = Line(1)
    await line.join("a/0", "b/0", "c/0")
    line.tasks["a/0"].add_done_callback(lambda _: line.tasks["b/0"].cancel())  # given the turn, and not yet run
    await line.end("a/0")
    assert "c/0" in line.begun
    await line.end("c/0")
    await line.join("d/0")
    assert line.begun[-1] == "d/0"
