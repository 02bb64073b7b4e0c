"""Lines of a screen of a given size: cut to its width by terminal cells, and to its height by importance."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.text import Text

from tidegate.manifests.plain_text import one_line

LABEL: Final = 13
"""Characters of a label before its text."""
NARROW: Final = 100
"""Columns from which on a screen shows more."""

# One character for one, so that a line keeps its width.
_ASCII: Final = str.maketrans(
    {
        "✔": "+",
        "✖": "x",
        "◌": "~",
        "॥": "=",
        "‖": "=",
        "⚠": "!",
        "•": "-",
        "◷": "@",
        "…": ".",
        "→": ">",
        "▶": ">",
        "·": "-",
        "█": "#",
        "▒": ">",
        "░": "-",
        "⟳": "*",
        "⧉": "*",
        "α": "a",
        "□": "o",
        "├": "|",
        "└": "`",
        "│": "|",
        "─": "-",
        **dict(zip("▁▂▃▄▅▆▇", "_.,:-=+", strict=True)),
    }
)


class Terminal(NamedTuple):
    """A terminal: columns, rows, and what it can show."""

    width: int
    height: int
    colour: bool = True
    unicode: bool = True

    @property
    def is_wide(self) -> bool:
        """True where there are columns for more than the necessary."""
        return self.width >= NARROW


@dataclass(frozen=True)
class Section:
    """Lines that belong together.

    `rank` orders the claims on rows, 0 first. `least` is the count of lines without which the section says nothing.
    `newest_last` keeps the last lines of it below its title where there are too few rows, else the first ones stay.
    """

    lines: Sequence[Text]
    rank: int
    least: int = 1
    newest_last: bool = False

    def cut(self, rows: int) -> list[Text]:
        """Lines for so many rows, with the count of those that are missing where it can be said."""
        lines = list(self.lines)
        if len(lines) <= rows:
            return lines
        if rows <= 0:
            return []
        if self.newest_last:
            return [*lines[:1], *lines[len(lines) - rows + 1 :]] if rows > 1 else lines[-1:]
        if rows == 1:
            return lines[:1]
        return [*lines[: rows - 1], Text(f"… {len(lines) - rows + 1} more lines", style="dim")]


def arranged(sections: Sequence[Section], terminal: Terminal) -> list[Text]:
    """Lines of the sections in their order, no wider and no more than the terminal has room for.

    First each section gets its least, by rank; then come empty lines between sections, from the top; then the rest, by
    rank.
    """
    given = [each for each in sections if each.lines]
    rows = [0] * len(given)
    order = sorted(range(len(given)), key=lambda index: given[index].rank)
    room = terminal.height
    for index in order:
        rows[index] = min(given[index].least, len(given[index].lines), room)
        room -= rows[index]
    gaps = min(room, sum(map(bool, rows)) - 1)
    room -= gaps
    for index in order:
        more = min(len(given[index].lines) - rows[index], room)
        rows[index] += more
        room -= more
    lines: list[Text] = []
    for each, count in zip(given, rows, strict=True):
        if lines and count and gaps > 0:
            lines, gaps = [*lines, Text()], gaps - 1
        lines += each.cut(count)
    return [fit(line, terminal) for line in lines[: terminal.height]]


def fit(line: Text, terminal: Terminal) -> Text:
    """One line of at most the terminal's columns; in ASCII where it has no other characters."""
    made = line.copy()
    made.plain = made.plain.replace("\n", " ").replace("\t", " ")
    made.truncate(terminal.width, overflow="ellipsis")
    if not terminal.unicode:
        made.plain = made.plain.translate(_ASCII)
    made.rstrip()
    return made


def both_ends(left: Text, right: Text, width: int) -> Text:
    """A line with one text at its beginning and one at its end; the left one is cut first."""
    room = width - right.cell_len - 2
    left = left.copy()
    if room < width // 4:
        return Text.assemble(left, "  ", right)
    left.truncate(room, overflow="ellipsis")
    return Text.assemble(left, " " * (width - left.cell_len - right.cell_len), right)


def labelled(label: str, value: Text | str, style: str = "dim") -> Text:
    """A line with its label."""
    return Text.assemble((label.ljust(LABEL), style), value)


def paragraph(label: str, text: str, width: int, lines: int, style: str = "") -> list[Text]:
    """A text from outside behind its label, wrapped into at most so many lines."""
    room = max(width - LABEL, 10)
    found = textwrap.wrap(one_line(text), room, max_lines=lines, placeholder=" …", break_on_hyphens=False)
    return [labelled("" if number else label, Text(line, style=style)) for number, line in enumerate(found)]


def meter(share: float, width: int, style: str) -> Text:
    """A bar of so many columns that is filled to a share of 0 to 1."""
    full = max(0, min(round(share * width), width))
    return Text.assemble("[", ("█" * full, style), ("░" * (width - full), "dim"), "]")


def cells(text: Text, width: int, *, right: bool = False) -> Text:
    """A cell of a table: cut or filled to so many columns."""
    made = text.copy()
    made.truncate(width, overflow="ellipsis")
    padding = " " * (width - made.cell_len)
    return Text.assemble(padding, made) if right else Text.assemble(made, padding)
