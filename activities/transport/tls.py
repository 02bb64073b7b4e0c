"""Clients for a server whose certificate the system's authorities do not vouch for."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.transport.outgoing import Outgoing


class TrustError(ValueError):
    """Authorities that hold no certificate."""


@asynccontextmanager
async def trusting(http: Outgoing, *, insecure: bool = False, authorities: str = "") -> AsyncIterator[Outgoing]:
    """`http` itself, or one that trusts otherwise, asks no more hosts than it, and is closed in the end.

    `authorities` are certificates in PEM that take the place of the system's; `insecure` checks nothing and comes
    before them. A client of its own is cheap here: what takes time is loading the system's authorities.

    Raises TrustError.
    """
    if not insecure and not authorities:
        yield http
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        try:
            context.load_verify_locations(cadata=authorities)
        except (ssl.SSLError, TypeError, ValueError) as error:
            raise TrustError("no certificate in PEM") from error
    async with http.trusting(context) as client:
        yield client
