"""The installed commands of the processes, which say so where the extra `worker` is not installed."""

from __future__ import annotations

from tidegate.cli.extras import needs_extra

_EXTRA = "worker"


def worker() -> None:
    """Entry point of `tidegate-worker`."""
    with needs_extra(_EXTRA):
        from workers.worker import main
    main()


def watcher() -> None:
    """Entry point of `tidegate-watcher`."""
    with needs_extra(_EXTRA):
        from workers.watcher import main
    main()


def gateway() -> None:
    """Entry point of `tidegate-gateway`."""
    with needs_extra(_EXTRA):
        from workers.gateway import main
    main()


def web() -> None:
    """Entry point of `tidegate-web`."""
    with needs_extra(_EXTRA):
        from workers.web import main
    main()
