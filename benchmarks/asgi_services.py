"""The ASGI applications that the servers of the benchmarks run, as factories."""

from __future__ import annotations

import asyncio

from faultware.asgi import FaultMiddleware

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
PIECE = bytes(65536)
BODY = {"type": "http.response.body", "body": b"ok"}


def fastapi():
    """A FastAPI service without faultware."""
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/orders/{number}")
    async def order(number: int) -> dict[str, int]:
        return {"order": number}

    return app


def fastapi_with_faults():
    """The same, with the middleware added as its users add it."""
    app = fastapi()
    app.add_middleware(FaultMiddleware)
    return app


async def _plain(scope, receive, send) -> None:
    """Answers at once; below /idle only waits for the client to leave; below /asleep answers after a sleep.

    Below /body the last segment is the length of the body, which comes in pieces of 64 KiB.
    """
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    _, place, *more = scope["path"].split("/")
    if place == "idle":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    if place == "asleep":
        await asyncio.sleep(float(more[0]))
    if place == "body":
        await _send_body(int(more[-1]), send)
        return
    await send(START)
    await send(BODY)


async def _send_body(size: int, send) -> None:
    await send({**START, "headers": [(b"content-length", b"%d" % size)]})
    for left in range(size, 0, -len(PIECE)):
        await send({"type": "http.response.body", "body": PIECE[:left], "more_body": True})
    await send({"type": "http.response.body"})


def plain():
    """An application without a framework."""
    return _plain


def plain_with_faults():
    """The same behind the middleware."""
    return FaultMiddleware(_plain)
