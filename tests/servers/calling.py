"""Two applications that call the service at `NEXT` when they are asked for anything but /charge, as ASGI and as WSGI.

They answer with the status and the mark of what they were answered, and with the baggage they themselves were sent.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request

from anyio import to_thread

from faultware.asgi import FaultMiddleware as AsgiMiddleware
from faultware.propagation import outgoing
from faultware.wsgi import FaultMiddleware as WsgiMiddleware


def respond(method: str, path: str) -> bytes:
    """What the next service makes of two requests for /charge, or of what stands behind /via in the path."""
    further = os.environ.get("NEXT", "")
    if not further or path in ("/charge", "/healthz"):
        return b"charged"
    if path.startswith("/via"):
        return ask(f"{further}{path.removeprefix('/via')}", "GET")
    return b" ".join(ask(f"{further}/charge", "POST") for _ in range(2))


def ask(url: str, method: str) -> bytes:
    request = urllib.request.Request(url, method=method, headers=outgoing({"baggage": "mine=1"}))
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        return f"{error.code}:{error.headers.get('faultware-fault')}".encode()


async def plain_asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    content = await to_thread.run_sync(respond, scope["method"], scope["path"])
    lines = [(b"content-type", b"text/plain"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": content})


def plain_wsgi(environ, start_response):
    content = respond(environ["REQUEST_METHOD"], environ["PATH_INFO"])
    start_response("200 OK", [("content-type", "text/plain"), ("content-length", str(len(content)))])
    return [content]


asgi = AsgiMiddleware(plain_asgi)
wsgi = WsgiMiddleware(plain_wsgi)
