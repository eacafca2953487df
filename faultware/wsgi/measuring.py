"""Measuring what the service answers: how long until the head, and with which status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultware.wsgi.responses import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse

    from faultware.runtime.traffic import Traffic


def measured(
    traffic: Traffic,
    serve: Callable[[StartResponse], Iterable[bytes]],
    start_response: StartResponse,
    *,
    is_injected: bool,
) -> Iterable[bytes]:
    """Serve a request and note its answer. The iterable is passed on untouched.

    Args:
        traffic: Takes the note.
        serve: Answers through the `start_response` that it is given.
        start_response: The server's.
        is_injected: Whether a fault acts on the request.
    """
    began, is_noted = traffic.clock(), False

    def watching(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        nonlocal is_noted
        if not is_noted:
            is_noted = True
            traffic.note(traffic.clock() - began, status_of(status)[0], is_injected=is_injected)
        return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

    traffic.begin()
    try:
        return serve(watching)
    except BaseException:
        if not is_noted:
            traffic.note(traffic.clock() - began, 0, is_injected=is_injected)
        raise
    finally:
        # An answer that is streamed goes on: what is in flight here are requests that the application works on.
        traffic.end()
