"""Draws the pictures of docs/concepts.md as SVG: `python -m tests.docs.drawings`.

Each has a light ground of its own, so that it is readable in light and dark, on a forge and on the site.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Final

from tests.structure.sources import ROOT

FOLDER: Final = ROOT / "docs" / "pictures"
WIDTH: Final = 760
INK, QUIET, LINE, GROUND = "#17333a", "#4c6870", "#9db3b8", "#f7fafa"
STABLE, CANARY, HARM, PROOF = "#cfe3e6", "#2f9e8f", "#c2413a", "#b7791f"
_FONT: Final = "font-family='system-ui, Segoe UI, Helvetica, Arial, sans-serif'"


def picture(height: int, title: str, *parts: str) -> str:
    """A whole drawing of that height in pixels; `title` is for those who do not see it."""
    body = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img' {_FONT} font-size='14'>\n"
        f"<title>{escape(title)}</title>\n"
        f"<rect width='{WIDTH}' height='{height}' rx='10' fill='{GROUND}' stroke='{LINE}'/>\n{body}\n</svg>\n"
    )


def text(x: float, y: float, words: str, *, fill: str = INK, anchor: str = "middle", bold: bool = False) -> str:
    """One line of text at a point."""
    weight = " font-weight='600'" if bold else ""
    return f"<text x='{x:g}' y='{y:g}' fill='{fill}' text-anchor='{anchor}'{weight}>{escape(words)}</text>"


def box(x: float, y: float, width: float, height: float, *, fill: str = "#fff", stroke: str = LINE) -> str:
    """A rectangle with round corners."""
    return (
        f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='6' fill='{fill}' stroke='{stroke}' "
        "stroke-width='1.5'/>"
    )


def arrow(x1: float, y1: float, x2: float, y2: float, *, stroke: str = QUIET) -> str:
    """A line with a head at its end, level or upright."""
    right, down = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
    back_x, back_y = x2 - 8 * right, y2 - 8 * down
    head = f"{x2:g},{y2:g} {back_x - 5 * down:g},{back_y - 5 * right:g} {back_x + 5 * down:g},{back_y + 5 * right:g}"
    return (
        f"<line x1='{x1:g}' y1='{y1:g}' x2='{back_x:g}' y2='{back_y:g}' stroke='{stroke}' stroke-width='2'/>"
        f"<polygon points='{head}' fill='{stroke}'/>"
    )


def titled(x: float, y: float, width: float, title: str, *lines: str, stroke: str = LINE) -> Iterator[str]:
    """A box with a title and lines below it, 22 pixels each."""
    yield box(x, y, width, 34 + 22 * len(lines), stroke=stroke)
    yield text(x + width / 2, y + 23, title, bold=True)
    for number, line in enumerate(lines, 1):
        yield text(x + width / 2, y + 23 + 22 * number, line, fill=QUIET)


def release() -> str:
    """Drawing of the weight over time: steps with a gate each, the bake at 100 %, and the end."""
    stairs = ((60, 130, 10, "10 %"), (190, 130, 30, "30 %"), (320, 130, 60, "60 %"), (450, 180, 100, "100 %"))
    parts = [text(60, 34, "weight of the canary", anchor="start", fill=QUIET)]
    for x, width, weight, label in stairs:
        top = 250 - 1.8 * weight
        parts += [f"<rect x='{x}' y='{top:g}' width='{width}' height='{250 - top:g}' fill='{CANARY}' opacity='.75'/>"]
        parts += [text(x + 10, top - 8, label, anchor="start", bold=True)]
    for x in (190, 320, 450):
        parts += [
            f"<line x1='{x}' y1='52' x2='{x}' y2='256' stroke='{PROOF}' stroke-width='2' stroke-dasharray='5 4'/>"
        ]
        parts += [text(x, 276, "gate", fill=PROOF, bold=True)]
    parts += [text(540, 160, "bake", fill="#fff", bold=True), arrow(40, 250, 740, 250)]
    parts += [text(690, 112, "promoted:", bold=True), text(690, 134, "the canary"), text(690, 154, "is stable now")]
    parts += [text(60, 276, "start", fill=QUIET), text(732, 276, "time", anchor="end", fill=QUIET)]
    return picture(296, "The weight of a canary rises by steps, with a gate before each; then comes the bake", *parts)


def weights() -> str:
    """Drawing of a weight that is asked for, written, read back and confirmed."""
    parts = [
        *titled(24, 40, 200, "asked", "by the step:", "setWeight: 30"),
        *titled(280, 40, 200, "set", "written to the route,", "and read back from it"),
        *titled(536, 40, 200, "seen", "the Gateway confirms it,", "in the status of the route"),
        arrow(226, 80, 278, 80),
        arrow(482, 80, 534, 80),
        text(252, 150, "a pass", fill=QUIET),
        text(508, 150, "the router", fill=QUIET),
        text(380, 186, "Where nobody confirms a weight, the screen says: asked, not verified."),
    ]
    return picture(208, "A weight is asked for by a step, set in the route, and seen by the router", *parts)


def abort() -> str:
    """Drawing of the order of an abort: traffic, pods, and beside them what follows."""
    parts = [
        *titled(24, 74, 150, "an abort", "a gate failed,", "or you said so", stroke=HARM),
        *titled(220, 74, 150, "1  traffic", "all to stable,", "read back", stroke=CANARY),
        *titled(420, 20, 150, "2  pods", "the canary's", "pods go"),
        *titled(420, 128, 150, "3  follow-ups", "incident, revert,", "messages"),
        *titled(606, 74, 130, "the end", "release failed,", "stable serves"),
        arrow(176, 112, 218, 112, stroke=HARM),
        f"<path d='M372 112 H395 M395 62 V170' fill='none' stroke='{QUIET}' stroke-width='2'/>",
        arrow(394, 62, 418, 62),
        arrow(394, 170, 418, 170),
        f"<path d='M572 62 H588 M588 170 H572 M588 62 V170' fill='none' stroke='{QUIET}' stroke-width='2'/>",
        arrow(588, 112, 604, 112),
        text(
            380, 232, "The traffic waits for nothing but Kubernetes. Follow-ups may take days, and outlive the release."
        ),
    ]
    return picture(252, "An abort first puts the traffic back, then removes pods and carries out follow-ups", *parts)


def proof() -> str:
    """Drawing of the evidence of a comparison between the lines of proof and of harm."""
    good = "70,140 150,132 230,120 310,96 390,84 470,58"
    bad = "70,140 150,150 230,158 310,184 390,206 430,226"
    parts = []
    for y, label, color in ((54, "proven: the next step", CANARY), (222, "harm: abort", HARM)):
        parts += [
            f"<line x1='70' y1='{y}' x2='560' y2='{y}' stroke='{color}' stroke-width='2' stroke-dasharray='6 4'/>"
        ]
        parts += [text(572, y + 5, label, anchor="start", fill=color, bold=True)]
    for points, color in ((good, CANARY), (bad, HARM)):
        parts += [f"<polyline points='{points}' fill='none' stroke='{color}' stroke-width='3'/>"]
    parts += [arrow(70, 140, 560, 140), text(572, 145, "time", anchor="start", fill=QUIET)]
    parts += [text(70, 34, "evidence", anchor="start", fill=QUIET)]
    parts += [text(360, 124, "a good version", fill=CANARY, anchor="start")]
    parts += [text(330, 176, "a bad version", fill=HARM, anchor="start")]
    return picture(252, "Evidence grows from second to second until a version is proven, or harm is shown", *parts)


def drawings() -> Mapping[Path, str]:
    """Each file with its drawing."""
    made = {"release": release, "weights": weights, "abort": abort, "proof": proof}
    return {FOLDER / f"concept-{name}.svg": draw() for name, draw in made.items()}


if __name__ == "__main__":
    for file, drawing in drawings().items():
        file.write_text(drawing)
