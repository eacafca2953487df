"""An ASGI application whose answers are long, and the same behind the middleware. It runs on asyncio and trio."""

from __future__ import annotations

import hashlib

import anyio

from faultware.asgi import FaultMiddleware

BYTES = bytes(range(256))


def content(size: int) -> bytes:
    """What an answer of this size consists of."""
    return (BYTES * (size // 256 + 1))[:size]


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
    elif scope["type"] == "websocket":
        await (ticks if scope["path"].startswith("/ticks/") else echo)(receive, send)
    else:
        await ROUTES[scope["path"].split("/")[1]](scope, receive, send)


async def sized(scope, receive, send):
    """…/a/path/SIZE: a body of that many bytes with its length, in pieces of 16 KB."""
    body = content(int(scope["path"].rpartition("/")[2]))
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await pieces(body, send)


async def chunked(scope, receive, send):
    """The same without its length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await pieces(content(int(scope["path"].rpartition("/")[2])), send)


async def pieces(body, send):
    for start in range(0, len(body), 16384):
        await send({"type": "http.response.body", "body": body[start : start + 16384], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def upload(scope, receive, send):
    """Says what it was sent."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    told = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
    headers = [(b"content-length", str(len(told)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


async def events(scope, receive, send):
    """Server-sent events without end; as Starlette does it, another task listens whether the client has left."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    async with anyio.create_task_group() as tasks:

        async def listen():
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        tasks.start_soon(listen)
        number = 0
        while True:
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            number += 1
            await anyio.sleep(0.01)


async def echo(receive, send):
    """Sends back what it gets, until the client leaves."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", **{key: message[key] for key in ("text", "bytes") if message.get(key)}})


async def ticks(receive, send):
    """A message of 60 KB, and then one number after the other, until the client leaves."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "bytes": content(60_000)})
    async with anyio.create_task_group() as tasks:

        async def listen():
            while (await receive())["type"] != "websocket.disconnect":
                pass
            tasks.cancel_scope.cancel()

        tasks.start_soon(listen)
        number = 0
        while True:
            await send({"type": "websocket.send", "text": str(number)})
            number += 1
            await anyio.sleep(0.01)


ROUTES = {
    "healthz": upload,
    "innocent": sized,
    "sized": sized,
    "chunked": chunked,
    "upload": upload,
    "events": events,
}

app = FaultMiddleware(application)
