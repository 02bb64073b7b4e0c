"""The marks, ages and columns that every drawing shares, as `kubectl argo rollouts` and `kubectl` write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.text import Text

from tidegate.manifests.plain_text import harmless

OK, BAD, PROGRESSING, PAUSED, WARNING, UNKNOWN, NEUTRAL, WAITING = "✔", "✖", "◌", "॥", "⚠", "?", "•", "◷"

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
_MARKS = {
    "Healthy": OK,
    "Successful": OK,
    "Running": PROGRESSING,
    "Progressing": PROGRESSING,
    "Paused": PAUSED,
    "Degraded": BAD,
    "Failed": BAD,
    "Error": WARNING,
    "Inconclusive": UNKNOWN,
    "Pending": WAITING,
    "ScaledDown": NEUTRAL,
}

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY
# Under so many seconds an age is written in these units, the second only when it is not 0 (k8s HumanDuration).
_AGES = (
    (2 * _MINUTE, (1, "s"), None),
    (10 * _MINUTE, (_MINUTE, "m"), (1, "s")),
    (3 * _HOUR, (_MINUTE, "m"), None),
    (8 * _HOUR, (_HOUR, "h"), (_MINUTE, "m")),
    (2 * _DAY, (_HOUR, "h"), None),
    (8 * _DAY, (_DAY, "d"), (_HOUR, "h")),
    (2 * _YEAR, (_DAY, "d"), None),
    (8 * _YEAR, (_YEAR, "y"), (_DAY, "d")),
    (float("inf"), (_YEAR, "y"), None),
)


def age(span: timedelta) -> str:
    """A length of time as `kubectl` writes it: `48s`, `2m30s`, `5h`; what is not yet is `0s`."""
    seconds = max(0, int(span.total_seconds()))
    _, (size, unit), second = next(row for row in _AGES if seconds < row[0])
    whole, rest = divmod(seconds, size)
    text = f"{whole}{unit}"
    if second is not None and rest // second[0]:
        text += f"{rest // second[0]}{second[1]}"
    return text


def since(start: datetime | None, now: datetime) -> str:
    """Age of something that started at `start`; empty when it did not."""
    return age(now - start) if start is not None else ""


def mark(state: str) -> str:
    """Icon of a phase."""
    return _MARKS.get(state, UNKNOWN)


def marked(state: str, icon: str | None = None) -> Text:
    """A phase behind its icon, coloured; empty for no phase."""
    icon = icon or mark(state)
    return Text.assemble((icon, _STYLES.get(icon, "")), f" {harmless(state)}") if state else Text()


def labelled(label: str, value: str | Text) -> Text:
    """One line of a header block."""
    return Text.assemble(label.ljust(_LABEL_WIDTH), harmless(value) if isinstance(value, str) else value)


def clock(at: datetime) -> str:
    """Time of day, UTC."""
    return f"{at:%H:%M:%S}"


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
