"""The same streams as `add_middleware` has them: the middleware inside of one that wraps the server's `send`."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount

from faultware.asgi import FaultMiddleware
from tests.servers.streams import application

app = Starlette(routes=[Mount("/", application)])
app.add_middleware(FaultMiddleware)
