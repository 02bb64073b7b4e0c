"""YAML as Kubernetes reads it (sigs.k8s.io/yaml): the scalars of YAML 1.1, and tabs between tokens."""

from __future__ import annotations

import re
from typing import Final

import yaml

MAX_DEPTH: Final = 64
TAG: Final = "tag:yaml.org,2002:"
BOOLEANS: Final = {
    "yes": True,
    "true": True,
    "on": True,
    "y": True,
    "no": False,
    "false": False,
    "off": False,
    "n": False,
}
"""What a boolean may be written as, in small letters."""

_LINE_BREAKS: Final = "\r\n\x85\u2028\u2029"
_BLANKS: Final = " \t"


class Loader(yaml.SafeLoader):
    """PyYAML's reader, to whom a tab is no blank and `y` and `n` are text, made into that of Kubernetes."""

    _depth = 0
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML reads it here

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Next node; the depth is limited before the text can exhaust the stack."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = parent.start_mark if parent else None
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments and line breaks; a tab is a blank where it cannot be taken for indentation."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> list[str] | None:
        """Blanks inside a plain scalar or after it, as the parts that they add to it."""
        length = 0
        while self.peek(length) in _BLANKS:
            length += 1
        blanks = self.prefix(length)
        if "\t" not in blanks:
            return super().scan_plain_spaces(indent, start_mark)
        self.forward(length)
        # Blanks at the end of a line are no part of the text.
        return super().scan_plain_spaces(indent, start_mark) if self.peek() in _LINE_BREAKS else [blanks]

    def scan_block_scalar_indicators(self, start_mark: yaml.Mark) -> tuple[bool | None, int | None]:
        """The indicators after `|` or `>`: whether trailing line breaks are kept, and the indentation of the text."""
        chomping: bool | None = None
        increment: int | None = None
        for _ in range(2):
            if chomping is None and self.peek() in "+-":
                chomping = self.peek() == "+"
                self.forward()
            elif increment is None and self.peek() in "123456789":
                increment = int(self.peek())
                self.forward()
        if self.peek() not in "\0" + _BLANKS + _LINE_BREAKS:
            problem = f"expected an indicator of chomping or indentation, but found {self.peek()!r}"
            raise yaml.scanner.ScannerError("while scanning a block scalar", start_mark, problem, self.get_mark())
        return chomping, increment

    def scan_block_scalar_ignored_line(self, start_mark: yaml.Mark) -> None:
        """Rest of the line after `|` or `>`."""
        while self.peek() in _BLANKS:
            self.forward()
        super().scan_block_scalar_ignored_line(start_mark)


def _any_case(names: list[str]) -> str:
    return "|".join(form for name in names for form in dict.fromkeys((name, name.title(), name.upper())))


for _name, _pattern in (
    ("null", r"~|null|Null|NULL|"),
    ("bool", _any_case(list(BOOLEANS))),
    ("int", r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    ),
    ("merge", "<<"),
):
    Loader.add_implicit_resolver(TAG + _name, re.compile(f"(?:{_pattern})$"), None)
