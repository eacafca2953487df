"""When a fault acts, and what it cannot do without."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Phase(Enum):
    """When a fault acts. Within one rule faults act in this order."""

    DELAY = 1
    INSTANCE = 2
    TERMINAL = 3
    REQUEST = 4
    RESPONSE = 5


class Needs(Enum):
    """What a fault needs besides the means of ASGI and WSGI. Which servers have it, `runtime.capabilities` knows.

    NOTHING: every server will do. SOCKET: the connection's own TCP socket. RAW: the same, and that what is written to
    it is what the client reads: HTTP/1.1 without TLS. STREAM: a connection of HTTP/2, whose streams can be reset one by
    one. WEBSOCKET: a server that has them. PROCESS: leave to harm the process (`allow_instance_faults`).
    """

    NOTHING = 1
    SOCKET = 2
    RAW = 3
    STREAM = 4
    WEBSOCKET = 5
    PROCESS = 6


# What can only be had on one connection, so that it is found out for each request.
CONNECTION_NEEDS: Final = frozenset({Needs.SOCKET, Needs.RAW, Needs.STREAM})
