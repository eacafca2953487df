"""Tells a WSGI middleware further in that a request has been decided for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultware.runtime import nesting

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def decided(app: ASGIApp) -> ASGIApp:
    """The application, to be called once."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        token = nesting.enter(scope["method"], scope["path"])
        try:
            await app(scope, receive, send)
        finally:
            nesting.leave(token)

    return serve
