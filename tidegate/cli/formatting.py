"""The marks, ages and columns that every drawing shares, as `kubectl argo rollouts` and `kubectl` write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from tidegate.manifests.plain_text import harmless
from tidegate.report.ages import since
from tidegate.report.marks import BAD, NEUTRAL, OK, PAUSED, PROGRESSING, UNKNOWN, WAITING, WARNING, mark

SHORTEST_NAME = 16  # of a table's, however narrow the terminal is
_LABEL_WIDTH = 17
_STYLES = {
    OK: "green",
    BAD: "red",
    PROGRESSING: "cyan",
    PAUSED: "magenta",
    WARNING: "yellow",
    UNKNOWN: "yellow",
    NEUTRAL: "dim",
    WAITING: "cyan",
}


def marked(state: str, icon: str | None = None) -> Text:
    """A phase behind its icon, coloured; empty for no phase."""
    icon = icon or mark(state)
    return Text.assemble((icon, _STYLES.get(icon, "")), f" {harmless(state)}") if state else Text()


def labelled(label: str, value: str | Text) -> Text:
    """One line of a header block."""
    return Text.assemble(label.ljust(_LABEL_WIDTH), harmless(value) if isinstance(value, str) else value)


def dated(at: datetime, now: datetime) -> str:
    """A timestamp in full with its age."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC ({since(at, now)} ago)"


def indented(text: str, by: int) -> list[Text]:
    """The lines of a text from outside, each `by` spaces to the right."""
    return [Text(" " * by + line) for line in harmless(text).rstrip().splitlines()]


def columns(rows: Sequence[Sequence[str | Text]], indent: str = "") -> list[Text]:
    """Lines with the cells of each column under each other, two spaces apart, nothing behind the last."""
    cells = [[cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row] for row in rows]
    count = max(map(len, cells), default=0)
    widths = [max((len(row[index]) for row in cells if index < len(row)), default=0) for index in range(count)]
    return [_line(row, widths, indent) for row in cells]


def fitted(rows: Sequence[Sequence[str | Text]], width: int | None, *, spare: Sequence[str] = ()) -> list[Text]:
    """`columns` under titles, in so many characters; None without a width, as in a pipe.

    Columns of the titles in `spare` are omitted, the first one first, until the rest fits. Then names are shortened in
    the middle: the first column, and the second where the first is NAMESPACE.
    """
    cells = [[cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row] for row in rows]
    omitted = list(spare)
    name = 1 if cells and cells[0][0].plain == "NAMESPACE" else 0
    while width is not None and (excess := max(map(len, columns(cells)), default=0) - width) > 0:
        longest = max(len(row[name]) for row in cells)
        if omitted:
            titles = [title.plain for title in cells[0]]
            if (title := omitted.pop(0)) in titles:
                cells = [[c for index, c in enumerate(row) if index != titles.index(title)] for row in cells]
        elif longest > SHORTEST_NAME:
            most = max(longest - excess, SHORTEST_NAME)
            cells = [[shortened(c, most) if i == name else c for i, c in enumerate(row)] for row in cells]
        else:
            break
    return columns(cells)


def shortened(text: Text, most: int) -> Text:
    """A name in at most so many characters: names of one team begin alike, and end in what tells them apart."""
    if len(text) <= most:
        return text
    end = most // 2
    return Text.assemble(text[: most - end - 1], "…", text[len(text) - end :])


def _cell(text: str) -> str:
    """A line end in a cell would tear the table."""
    return harmless(text).replace("\n", " ").replace("\t", " ")


def _line(row: Sequence[Text], widths: Sequence[int], indent: str) -> Text:
    line = Text(indent)
    for cell, width in zip(row, widths, strict=False):
        line.append_text(cell)
        line.append(" " * (width - len(cell) + 2))
    line.rstrip()
    return line
