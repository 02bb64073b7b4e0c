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
_CLEAR_LINE, _CLEAR_ALL = "\x1b[K", "\x1b[2J\x1b[H"


def has_screen(console: Console) -> bool:
    """True where lines can be drawn over each other: on a terminal that knows how to move its cursor."""
    return console.is_terminal and not console.is_dumb_terminal


class Painter:
    """Draws frames where the cursor is when it is entered; the last one stays when it is left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[str] = []
        self._size = console.size

    def __enter__(self) -> Self:
        self._write(_HIDE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The last row once more: a terminal that echoes Ctrl-C has written `^C` there.
        self._write((f"\r{self._rows[-1]}\r\n" if self._rows else "") + _SHOW)

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
            start = "\r" + (f"\x1b[{len(self._rows) - 1}A" if len(self._rows) > 1 else "")
        surplus = len(self._rows) - len(rows)
        below = f"\r\n{_CLEAR_LINE}" * surplus + f"\x1b[{surplus}A" if surplus > 0 else ""
        body = "\r\n".join(rows)
        self._write(f"{_BEGIN}{start}{body}{below}\r{_END}")
        self._rows, self._size = rows, size

    def _rendered(self, lines: Sequence[Text]) -> list[str]:
        return [self._line(line) for line in lines] or [_CLEAR_LINE]

    def _line(self, line: Text) -> str:
        """A line with its escapes. Where it is full there is nothing to clear, and clearing would take its end."""
        with self._console.capture() as captured:
            self._console.print(line, end="", crop=False)
        return captured.get() + (_CLEAR_LINE if line.cell_len < self._console.size.width else "")

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()
