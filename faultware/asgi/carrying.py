"""Lets an ASGI application pass on what a request brought along for the calls that are made while it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultware.propagation import Carrying

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send


def carrying(app: ASGIApp, current: Callable[[], str]) -> ASGIApp:
    """The application, to be called once, within whose call `outgoing` has something to say."""

    async def carry(scope: Scope, receive: Receive, send: Send) -> None:
        carried = Carrying(current)
        carried.begin()
        try:
            await app(scope, receive, send)
        finally:
            carried.end()

    return carry
