"""The ASGI applications that the servers of the benchmarks run, as factories."""

from __future__ import annotations

import asyncio

from faultware.asgi import FaultMiddleware

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
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
    """Answers at once; below /idle only waits for the client to leave; below /asleep answers after a sleep."""
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
    await send(START)
    await send(BODY)


def plain():
    """An application without a framework."""
    return _plain


def plain_with_faults():
    """The same behind the middleware."""
    return FaultMiddleware(_plain)
