"""Lets go of an answer whose client has left in the middle of it, where hypercorn would wait for that client for ever.

On HTTP/2 hypercorn keeps a `send` waiting until the client has taken what was sent, also when the connection has gone.
A request on which a fault acts would keep its place among the active faults, beyond the kill switch. Private objects of
the server are used, each of which may be missing: then nothing is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultware.asgi.unwrapping import innermost

if TYPE_CHECKING:
    from starlette.types import Message, Send


async def relieve(send: Send) -> None:
    """Empty what the server still keeps of an answer as soon as the application is told that its client has left.

    Args:
        send: The server's own, for a request of HTTP/2.
    """
    stream: Any = getattr(innermost(send), "__self__", None)
    protocol: Any = getattr(getattr(stream, "send", None), "__self__", None)
    put = getattr(stream, "app_put", None)
    buffers = getattr(protocol, "stream_buffers", None)
    if put is None or buffers is None or not type(protocol).__module__.startswith("hypercorn."):
        return

    async def empty() -> None:
        buffer = buffers.get(stream.stream_id)
        if hasattr(buffer, "close"):
            await buffer.close()

    async def put_and_empty(message: Message) -> None:
        await put(message)
        if message["type"] == "http.disconnect":
            await empty()

    stream.app_put = put_and_empty
    # Whoever is served on a connection that has gone already is not told.
    if getattr(protocol, "closed", False):
        await empty()
