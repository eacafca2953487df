"""The server's `send` behind Starlette's own middlewares."""

from __future__ import annotations

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from faultware.asgi.unwrapping import innermost


class Server:
    async def send(self, message) -> None:
        raise AssertionError(message)


@pytest.mark.parametrize("outside", [[], [Middleware(CORSMiddleware, allow_origins=["*"])]])
def test_the_servers_send_is_found_from_where_starlette_puts_middlewares(outside):
    seen = []

    class Probe:
        def __init__(self, app) -> None:
            self.app = app

        async def __call__(self, scope, receive, send) -> None:
            seen.append(send)

    server = Server()
    app = Starlette(middleware=[*outside, Middleware(Probe)])
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"origin", b"http://shop.example")]}
    anyio.run(app, scope, server.send, server.send)
    assert seen[0] != server.send
    assert innermost(seen[0]) == server.send


def test_a_send_that_keeps_nothing_is_the_servers():
    server = Server()
    assert innermost(server.send) == server.send


def test_a_send_that_leads_to_itself_ends_the_search():
    async def send(message) -> None:
        await send(message)

    assert innermost(send) is send
