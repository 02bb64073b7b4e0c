"""The installed command of the embedded world, which says so where the extra `sandbox` is not installed."""

from __future__ import annotations

from tidegate.cli.extras import needs_extra


def sandbox() -> None:
    """Entry point of `tidegate-sandbox`."""
    with needs_extra("sandbox"):
        from sandbox.cli import main
    main()
