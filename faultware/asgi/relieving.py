"""What hypercorn cannot do by itself when faultware answers in the application's place, or is left by its client.

On HTTP/2 hypercorn keeps a `send` waiting until the client has taken what was sent, also when the connection has gone.
A request on which a fault acts would keep its place among the active faults, beyond the kill switch. Private objects of
the server are used, each of which may be missing: then nothing is done. On HTTP/1.1 a body that nobody reads is in the
way of the next request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultware.asgi.unwrapping import innermost

if TYPE_CHECKING:
    from starlette.types import Message, Send

    from faultware.core.request import Request
    from faultware.runtime.servers import Server


def leaves_unread(server: Server, request: Request) -> bool:
    """Whether a connection is of no use any more behind an answer to a request whose body was not read.

    Behind the rest of a chunked body hypercorn 0.18 answers no further request, nor does it close.
    """
    return server.name == "hypercorn" and bool(request.header("transfer-encoding"))


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
