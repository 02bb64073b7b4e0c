"""The installed command of the embedded world, which says so where the extra `sandbox` is not installed."""

from __future__ import annotations

import sys

from tidegate.cli.extras import needs_extra

FIRST_LINE = "Tidegate: starting an embedded world on this machine"


def sandbox() -> None:
    """Entry point of `tidegate-sandbox`."""
    if sys.argv[1:2] in (["demo"], ["up"]) and "--help" not in sys.argv:
        print(FIRST_LINE, flush=True)  # the imports below take a second, a busy machine much longer
    with needs_extra("sandbox"):
        from sandbox.cli import main
    main()
