"""Screens of releases as files: `python -m tests.unit.cli.screens`.

It writes the snapshots in `tests/data/screens` and the pictures in `docs/pictures`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.unit.cli.blue_green_releases import previewed, switched_back
from tests.unit.cli.releases import Example, aborting, comparing, good, holding, paused, running

ROOT = Path(__file__).parents[3]
SNAPSHOTS = ROOT / "tests" / "data" / "screens"
PICTURES = ROOT / "docs" / "pictures"
SIZES = ((80, 24), (120, 40))
EXAMPLES: dict[str, Callable[[], Example]] = {
    "running": running,
    "paused": paused,
    "holding": holding,
    "aborting": aborting,
    "comparing": comparing,
    "good": good,
    "previewed": previewed,
    "switched-back": switched_back,
}


def plain(lines: Sequence[Text]) -> str:
    return "".join(f"{line.plain}\n" for line in lines)


def coloured(lines: Sequence[Text]) -> str:
    """Lines with the escapes of a terminal of 16 colours, each escape as `ESC`, so that a file of it is text."""
    out = io.StringIO()
    console = Console(file=out, width=500, force_terminal=True, color_system="standard", no_color=False, _environ={})
    for line in lines:
        console.print(line, soft_wrap=True)
    return re.sub(r"id=\d+;", "", out.getvalue()).replace("\x1b", "ESC")


def picture(name: str, lines: Sequence[Text], width: int) -> str:
    """SVG of a screen. It loads no font: a reader's own monospaced one is used."""
    console = Console(
        file=io.StringIO(), width=width, record=True, force_terminal=True, color_system="truecolor", _environ={}
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    begin, end = CONSOLE_SVG_FORMAT.index("@font-face"), CONSOLE_SVG_FORMAT.index(".{unique_id}-matrix")
    made = console.export_svg(
        title="tidegate get rollout checkout -n payments --watch",
        theme=MONOKAI,
        code_format=CONSOLE_SVG_FORMAT[:begin] + CONSOLE_SVG_FORMAT[end:],
        unique_id=f"{name}-{width}",
    )
    return "\n".join(line.rstrip() for line in made.splitlines()) + "\n"


def files() -> Iterator[tuple[Path, str]]:
    """Yield each file of a screen with its content."""
    for name, example in EXAMPLES.items():
        for width, height in SIZES:
            lines = example().lines(width, height)
            stem = f"{name}-{width}x{height}"
            yield SNAPSHOTS / f"{stem}.txt", plain(example().lines(width, height, colour=False))
            yield SNAPSHOTS / f"{stem}.ansi.txt", coloured(lines)
            yield PICTURES / f"watch-{name}-{width}.svg", picture(name, lines, width)


def main() -> None:
    for file, content in files():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


if __name__ == "__main__":
    main()
