"""Packages whose names are imported when they are first used (PEP 562): one name costs its own module, and not all."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any


def deferred(package: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package, for the names that it imports under `if TYPE_CHECKING:`."""
    spec = sys.modules[package].__spec__
    loader: Any = spec.loader if spec is not None else None
    owners = dict(_imports(loader.get_source(package)))

    def imported(name: str) -> Any:
        """Import the module of a name. Raises AttributeError for a name that the package does not have."""
        if name not in owners:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(owners[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    return imported


def _imports(source: str) -> Iterator[tuple[str, str]]:
    """Each imported name with its module."""
    for block in ast.parse(source).body:
        for node in block.body if isinstance(block, ast.If) else ():
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                yield from ((each.name, node.module) for each in node.names)
