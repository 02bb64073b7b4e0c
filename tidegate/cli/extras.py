"""The commands whose packages only an extra installs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_OWN: Final = frozenset({"activities", "sandbox", "tidegate", "workers", "workflows"})


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Import in this block what `extra` installs: where a package is missing, say so with the remedy and exit with 64.

    An own module that is missing is no matter of extras: that ModuleNotFoundError is raised as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module in _OWN:
            raise
        command = Path(sys.argv[0]).name
        sys.stderr.write(
            f"error: {command}: the module {module} is not installed; it comes with the extra {extra}\n"
            f"remedy: pip install 'tidegate[{extra}]'\n"
        )
        raise SystemExit(os.EX_USAGE) from None
