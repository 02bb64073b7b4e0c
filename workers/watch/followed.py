"""Callbacks of a watch, for the list of all objects and for each change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from activities.kubernetes.client import Listing
from activities.kubernetes.reflector import WatchEvent

NOT_LISTED: Final = "not listed yet"


class Followed:
    """Callbacks for the list and the changes of the objects of one namespace.

    `trouble` is the reason why changes may be missed now, empty while there is none.
    """

    def __init__(self, listed: Callable[[Listing], Awaitable[None]], changed: Callable[[WatchEvent], None]) -> None:
        self.trouble = NOT_LISTED
        self._listed = listed
        self._changed = changed

    async def replace(self, listing: Listing) -> None:
        """Take the list of all objects."""
        await self._listed(listing)

    def change(self, change: WatchEvent) -> None:
        """Take the change of one object."""
        self._changed(change)

    def is_wanted(self) -> bool:
        """True for as long as the watcher runs."""
        return True
