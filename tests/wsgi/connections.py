"""A real connection on loopback, and the environments that servers would make for a request by it."""

from __future__ import annotations

import select
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

from tests.wsgi.server import environment

PATIENCE_SECONDS = 20.0


@contextmanager
def connected():
    """A client's socket, and the server's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(PATIENCE_SECONDS)
        with socket.create_connection(listener.getsockname(), PATIENCE_SECONDS) as client:
            server, _ = listener.accept()
            with server:
                yield client, server


def from_server(kind: str, server: socket.socket, path: str = "/", **more):
    """The environment of a request by this connection, as a server makes it."""
    address, port = server.getpeername()
    names = {"REMOTE_ADDR": address, "REMOTE_PORT": str(port), "SERVER_PORT": str(server.getsockname()[1])}
    # Waitress drops what proxies say from the environment.
    said = {name[5:]: value for name, value in more.items() if name.startswith("HTTP_")}
    channel = SimpleNamespace(socket=server, total_outbufs_len=0, requests=[SimpleNamespace(headers=said)])
    software = {
        "gunicorn": {"gunicorn.socket": server, "SERVER_SOFTWARE": "gunicorn/27.0.1"},
        # Werkzeug's port is a number.
        "werkzeug": {"werkzeug.socket": server, "SERVER_SOFTWARE": "Werkzeug/3.1.9", "REMOTE_PORT": port},
        "waitress": {"waitress.client_disconnected": Asked(channel).asked, "SERVER_SOFTWARE": "waitress"},
        "cheroot": {"SERVER_SOFTWARE": "Cheroot/11.1.2 Server"},
        "unknown": {"SERVER_SOFTWARE": "another/1.0"},
    }[kind]
    if kind == "waitress":
        more = {name: value for name, value in more.items() if "FORWARDED" not in name}
    environ = environment(path, **{**names, **software, **more})
    # What is named nowhere is left out.
    return {key: value for key, value in environ.items() if value is not None}


class Asked:
    """Waitress' channel, as far as it can be seen through the bound method that it hands out."""

    def __init__(self, channel) -> None:
        self.__dict__.update(vars(channel))

    def asked(self) -> bool:
        return False


def copies(connection: socket.socket) -> int:
    """How many descriptors of this process are this connection."""
    place = Path("/proc/self/fd")
    own, found = (place / str(connection.fileno())).readlink(), 0
    for path in place.iterdir():
        with suppress(OSError):  # closed meanwhile, by another thread
            found += path.readlink() == own
    return found


def leave(client: socket.socket, server: socket.socket) -> None:
    """The client goes, and the server's kernel knows it."""
    client.close()
    select.select([server], [], [], PATIENCE_SECONDS)


def received(client: socket.socket, *, is_over: bool = True) -> tuple[bytes, str]:
    """Everything that the client gets, and how the connection ends: `fin` or `reset`; `open`: it does not.

    A kernel that has much to do may hand over what was sent a moment later: what `is_over` is waited for.
    """
    data = bytearray()
    while select.select([client], [], [], PATIENCE_SECONDS if is_over else 0)[0]:
        try:
            piece = client.recv(65536)
        except ConnectionResetError:
            return bytes(data), "reset"
        if not piece:
            return bytes(data), "fin"
        data += piece
    return bytes(data), "open"
