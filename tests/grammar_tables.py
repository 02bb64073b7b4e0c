"""Writes the tables beside the grammars: `make grammars`, after a change of a grammar or of lark's version."""

from __future__ import annotations

from tidegate.analysis.expressions import parser, patterns
from tidegate.manifests.grammar import Grammar
from tidegate.manifests.jsonpath import parser as paths

USERS = (parser, patterns, paths)  # reading them reads their grammars


def main() -> None:
    """Write each table."""
    for grammar in Grammar.all_read():
        grammar.write_table()


if __name__ == "__main__":
    main()
