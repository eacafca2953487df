"""Where a WSGI environment leads to the connection of its request, by what each server hands out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from faultware.runtime.wire import adopt, find

if TYPE_CHECKING:
    import socket
    from wsgiref.types import WSGIEnvironment

    from faultware.runtime.wire import Wire

# What of the servers' own says that there is one. Clients that call an application themselves set none of it.
_TRACES: Final = ("SERVER_SOFTWARE", "REMOTE_PORT", "uwsgi.version", "gunicorn.socket", "werkzeug.socket")


def is_in_process(environ: WSGIEnvironment) -> bool:
    """Whether a client in this process has made the environment, and there is no connection."""
    return not any(trace in environ for trace in _TRACES)


def socket_of(environ: WSGIEnvironment) -> socket.socket | None:
    """The connection's socket, where the server hands it out."""
    connection: socket.socket | None = (
        environ.get("gunicorn.socket") or environ.get("werkzeug.socket") or getattr(channel_of(environ), "socket", None)
    )
    return connection


def channel_of(environ: WSGIEnvironment) -> Any:
    """Waitress' own object for the connection; None under other servers."""
    return getattr(environ.get("waitress.client_disconnected"), "__self__", None)


def wire_of(environ: WSGIEnvironment) -> Wire | None:
    """The connection; None: there is none to be had, or it is not certain."""
    local_port = number(environ.get("SERVER_PORT"))
    if "uwsgi.version" in environ:
        return _wire_in_uwsgi(environ, local_port)
    client = (str(environ.get("REMOTE_ADDR", "")), number(environ.get("REMOTE_PORT")) or 0)
    handle = socket_of(environ)
    return find(client, local_port) if handle is None else adopt(handle, client, local_port)


def is_by_uwsgi_router(environ: WSGIEnvironment) -> bool:
    """Whether uWSGI's router (`--http`) stands between. It passes on a FIN and all that is written, and no RST."""
    return environ.get("UWSGI_ROUTER") == "http"


def number(value: object) -> int | None:
    """A port; None: there is none. Servers name it as text or as a number."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None


def _wire_in_uwsgi(environ: WSGIEnvironment, local_port: int | None) -> Wire | None:
    """The server says which descriptor it is; to whom it leads depends on how it was started."""
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None:
        return None
    if is_by_uwsgi_router(environ):
        return adopt(uwsgi.connection_fd(), None, None)
    # Only a proxy that speaks uWSGI's protocol names the client's port.
    return None if "REMOTE_PORT" in environ else adopt(uwsgi.connection_fd(), None, local_port)
