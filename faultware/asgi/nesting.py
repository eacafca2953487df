"""Tells a WSGI middleware further in that a request has been decided for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultware.runtime import nesting

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def decided(app: ASGIApp) -> ASGIApp:
    """The application, to be called once."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        query_string: bytes = scope.get("query_string", b"")
        host: bytes = next((line[1] for line in scope.get("headers", ()) if line[0] == b"host"), b"")
        request = nesting.Decided(
            scope["method"], scope["path"], query_string.decode("latin-1"), host.decode("latin-1")
        )
        token = nesting.enter(request)
        try:
            await app(scope, receive, send)
        finally:
            nesting.leave(token)

    return serve
