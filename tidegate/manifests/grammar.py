"""A grammar of lark: read when its module is imported, its parser made when something is parsed.

To work out the table of an LALR parser takes a tenth of a second, a quarter of `tidegate lint`. So a table lies
beside each grammar, written by `make grammars`. It is used if it was made from this grammar and by this lark.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import lark


class Grammar:
    """The parser of a grammar file beside the module `rel_to`, for text without an ambiguity.

    `transformer` is applied to what was parsed; `options` are lark's.
    """

    def __init__(
        self, file: str, *, rel_to: str, transformer: lark.Transformer[Any, Any] | None = None, **options: Any
    ) -> None:
        # Now and not when it is built: the first to parse may be a workflow, which may not open files.
        path = Path(rel_to).with_name(file)
        self._text = path.read_text("utf-8")
        self.table_file = path.with_suffix(".table.json")
        self._table = self.table_file.read_text("utf-8") if self.table_file.exists() else "{}"
        self._options = options
        self._transformer = transformer
        _READ.append(self)

    def parse(self, text: str, start: str | None = None) -> Any:
        """Return the tree of a text, or what the grammar's transformer makes of it; raises lark's UnexpectedInput."""
        tree = self._parser.parse(text, start=start)
        return self._transformer.transform(tree) if self._transformer else tree

    @cached_property
    def _parser(self) -> lark.Lark:
        # Most that import the module parse nothing.
        table = self._current
        return _loaded(table["saved"]) if table else self._built()

    @property
    def _current(self) -> dict[Any, Any]:
        """The table, empty where it is of another grammar or of another lark."""
        table: dict[Any, Any] = json.loads(self._table, object_hook=_numbered)
        return table if table.get("made") == self._origin else {}

    @property
    def _origin(self) -> list[str]:
        """The version of lark, and the digest of the grammar and of its options."""
        source = json.dumps([self._text, self._options])
        return [lark.__version__, hashlib.sha256(source.encode()).hexdigest()]

    def _built(self) -> lark.Lark:
        return lark.Lark(self._text, parser="lalr", **self._options)

    @property
    def has_table(self) -> bool:
        """True if a table was made from this grammar, by this version of lark."""
        return bool(self._current)

    def write_table(self) -> None:
        """Write the table beside the grammar, in the form that lark saves: names, numbers and lists."""
        data, memo = self._built().memo_serialize([lark.lexer.TerminalDef, lark.grammar.Rule])
        table = {"made": self._origin, "saved": {"data": data, "memo": memo}}
        self.table_file.write_text(json.dumps(table, sort_keys=True, separators=(",", ":")) + "\n", "utf-8")

    @staticmethod
    def build_all() -> None:
        """Make the parser of each grammar that was read so far."""
        for grammar in _READ:
            _ = grammar._parser

    @staticmethod
    def all_read() -> tuple[Grammar, ...]:
        """The grammars that were read so far."""
        return tuple(_READ)


def _numbered(fields: dict[str, Any]) -> dict[Any, Any]:
    """The same mapping with the numbers of states and rules as numbers: JSON has them as text."""
    return {int(key) if key.isdecimal() else key: value for key, value in fields.items()}


def _loaded(saved: dict[str, Any]) -> lark.Lark:
    """The parser of a saved table; the pickle is the form that lark reads, and is made here."""
    return lark.Lark.load(io.BytesIO(pickle.dumps(saved)))


_READ: Final[list[Grammar]] = []
