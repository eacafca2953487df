"""Calls an application the way a server would, without a server: one request, any spelling of the path."""

from __future__ import annotations

import asyncio
import io
import warnings
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping


Answer = tuple[int, str, dict[str, str]]


def ask_asgi(
    app,
    target: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] = {},
    root: str = "",
    root_in_path: bool = False,
) -> Answer:
    """Status, text and headers.

    Args:
        app: An ASGI application.
        target: The path of the request line, percent-encoded.
        method: In capitals.
        headers: By name; there is always a host.
        root: The `root_path`.
        root_in_path: Whether the server puts it before the path it was asked for, as uvicorn does.
    """
    raw = (root if root_in_path else "") + target
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode("ascii"),
        "query_string": b"",
        "root_path": root,
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    sent = []

    async def call():
        done = asyncio.Event()
        requested = False

        async def receive():
            nonlocal requested
            if requested:
                await done.wait()
                return {"type": "http.disconnect"}
            requested = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                done.set()

        await app(scope, receive, send)

    asyncio.run(call())
    text = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    lines = {name.decode().lower(): value.decode() for name, value in sent[0].get("headers", ())}
    return sent[0]["status"], text.decode(errors="replace"), lines


def ask_wsgi(
    app,
    target: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] = {},
    root: str = "",
) -> Answer:
    """Status, text and headers.

    Args:
        app: A WSGI application.
        target: The path of the request line below the mount, percent-encoded.
        method: In capitals.
        headers: By name; there is always a host.
        root: The `SCRIPT_NAME`.
    """
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": root,
        "PATH_INFO": unquote_to_bytes(target).decode("latin-1"),
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in {"host": "localhost", **headers}.items()},
    }
    started = []

    def start_response(status, lines, exc_info=None):
        started[:] = [status, lines]
        return lambda _data: None

    answered = app(environ, start_response)
    try:
        text = b"".join(answered)
    finally:
        if hasattr(answered, "close"):
            answered.close()
    status, lines = started
    return int(status[:3]), text.decode(errors="replace"), {name.lower(): value for name, value in lines}


def by_starlette(app):
    """A WSGI application as an ASGI one, by Starlette."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions advise another package, which does the same
        from starlette.middleware.wsgi import WSGIMiddleware
    return WSGIMiddleware(app)


def by_asgiref(app):
    """The same by asgiref, as Django has it."""
    from asgiref.wsgi import WsgiToAsgi

    return WsgiToAsgi(app)
