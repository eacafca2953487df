"""Measuring what the service answers: how long until the head, and with which status."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Send

    from faultware.runtime.traffic import Traffic


async def measured(
    traffic: Traffic, serve: Callable[[Send], Awaitable[None]], send: Send, *, is_injected: bool
) -> None:
    """Serve a request and note its answer.

    Args:
        traffic: Takes the note.
        serve: Answers through the `send` that it is given.
        send: The server's.
        is_injected: Whether a fault acts on the request.
    """
    began, status = traffic.clock(), 0

    async def watching(message: Message) -> None:
        nonlocal status
        if not status and message["type"] == "http.response.start":
            status = message["status"]
            traffic.note(traffic.clock() - began, status, is_injected=is_injected)
        await send(message)

    traffic.begin()
    try:
        await serve(watching)
    finally:
        traffic.end()
        if not status:
            traffic.note(traffic.clock() - began, 0, is_injected=is_injected)


def pulse() -> Callable[[Callable[[], object]], object] | None:
    """How any thread hands something to the event loop that runs here; None: none does."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        trio = sys.modules.get("trio")
    try:
        return None if trio is None else trio.lowlevel.current_trio_token().run_sync_soon
    except RuntimeError:
        return None
