"""How the connection of a request is found, so that a fault can end it.

The server's handle comes first, the search among the descriptors second, and then nothing: no connection is guessed.
Servers' private objects are looked at, so whatever goes wrong in that counts as a connection that cannot be had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultware.asgi.transport import GranianStream, HypercornStream, InProcess, SocketLine
from faultware.asgi.unwrapping import innermost
from faultware.runtime.wire import adopt, find, is_proxied

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from faultware.asgi.feeding import Feed
    from faultware.asgi.transport import Line
    from faultware.core.request import Request
    from faultware.runtime.injector import Injector

_CLIENT_MODULES: Final = (
    "starlette.testclient",
    "httpx._transports.asgi",
    "httpx2._transports.asgi",
    "litestar.testing",
    "quart.testing",
    "asgiref.testing",
    "django.test",
)
# Starlette's TestClient and HTTPX's ASGITransport, as they call themselves: also where something has wrapped them.
_CLIENT_NAMES: Final = frozenset({("testclient", 50000), ("127.0.0.1", 123)})


def line_of(
    injector: Injector,
    request: Request,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    feed: Feed,
    given: Send | None = None,
) -> Line | None:
    """How the connection of a request can be ended.

    Args:
        injector: Says how long a peer that does not read is waited for.
        request: The request.
        scope: Its scope.
        receive: The server's.
        send: The server's, or what faultware has put around it.
        feed: See `Line`.
        given: The server's own `send`, if that is another one: it leads to the server's objects.

    Returns:
        None: it cannot, or it is not certain which one it is.
    """
    try:
        return _line(injector.hang_seconds(None), request, scope, receive, send, feed, innermost(given or send))
    except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
        injector.failed("act", error)
        return None


def _line(
    limit: float, request: Request, scope: Scope, receive: Receive, send: Send, feed: Feed, given: Send
) -> Line | None:
    if _is_in_process(scope, receive):
        return InProcess(feed, send, limit)
    version: str = scope.get("http_version", "1.1")
    if version.startswith("1"):
        (host, port), (_, local_port) = _address(scope.get("client")), _address(scope.get("server"))
        if port is None or is_proxied(request, port):
            return None
        wire = adopt(_handle(receive, given), (host, port), local_port) or find((host, port), local_port)
        is_plain = version == "1.1" and scope.get("scheme", "http") in ("http", "ws")
        return None if wire is None else SocketLine(feed, send, limit, wire, is_plain=is_plain)
    if version == "2" and scope["type"] == "http":
        stream = HypercornStream.of(feed, send, limit, given)
        return stream or (GranianStream(feed, send, limit) if _is_granian(given) else None)
    return None


def _handle(receive: Receive, send: Send) -> Any:
    """The socket, where a server lets it be seen: uvicorn, hypercorn."""
    for function in (send, receive):
        transport: Any = getattr(getattr(function, "__self__", None), "transport", None)
        if transport is None:
            hop: Any = function
            for _ in range(2):
                hop = getattr(getattr(hop, "__self__", None), "send", None)
            transport = getattr(getattr(getattr(hop, "__self__", None), "writer", None), "transport", None)
        if hasattr(transport, "get_extra_info"):
            return transport.get_extra_info("socket")
    return None


def _address(given: Any) -> tuple[str, int | None]:
    """An address as servers name it: a tuple or a list; granian writes ports as text."""
    if not given or len(given) < 2 or given[1] is None:
        return "", None
    port = str(given[1])
    return str(given[0]), int(port) if port.isascii() and port.isdigit() else None


def _is_granian(send: Send) -> bool:
    return type(getattr(send, "__self__", None)).__module__.startswith("granian.")


def _is_in_process(scope: Scope, receive: Receive) -> bool:
    module = getattr(receive, "__module__", None) or ""
    return module.startswith(_CLIENT_MODULES) or _address(scope.get("client")) in _CLIENT_NAMES
