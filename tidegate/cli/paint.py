"""Frames drawn over each other on a terminal, without flicker: each is one write that leaves no line empty between."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
# A terminal that knows this mode shows what is between them at once; any other ignores it (synchronized output, 2026).
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_CLEAR_LINE, _CLEAR_BELOW, _CLEAR_ALL = "\x1b[K", "\x1b[J", "\x1b[2J\x1b[H"


def has_screen(console: Console) -> bool:
    """True where lines can be drawn over each other: on a terminal that knows how to move its cursor."""
    return console.is_terminal and not console.is_dumb_terminal


class Painter:
    """Draws frames where the cursor is when it is entered; the last one stays when it is left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows = 0
        self._size = console.size

    def __enter__(self) -> Self:
        self._write(_HIDE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write(("\r\n" if self._rows else "") + _SHOW)

    def draw(self, lines: Sequence[Text]) -> None:
        """Draw the lines in place of those before, as many as the terminal has rows for."""
        self._replace(self._rendered(lines[: max(self._console.size.height, 1)]))

    def finish(self, lines: Sequence[Text]) -> None:
        """Draw all lines, also those that scroll out of the terminal. Nothing can be drawn over them."""
        self._replace(self._rendered(lines))

    def _replace(self, rows: list[str]) -> None:
        size = self._console.size
        if size != self._size and self._rows:  # the terminal has wrapped the lines anew, nobody knows where
            start = _CLEAR_ALL
        else:
            start = "\r" + (f"\x1b[{self._rows - 1}A" if self._rows > 1 else "")
        body = "\r\n".join(row + _CLEAR_LINE for row in rows)
        self._write(f"{_BEGIN}{start}{body}{_CLEAR_BELOW}{_END}")
        self._rows, self._size = len(rows), size

    def _rendered(self, lines: Sequence[Text]) -> list[str]:
        return [self._line(line) for line in lines] or [""]

    def _line(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", crop=False)
        return captured.get()

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()
