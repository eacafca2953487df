"""Faults of WebSockets on real servers, as a raw socket sees them."""

from __future__ import annotations

import json
import socket
import time

import pytest

from tests.servers.harness import ENDLESS, PATIENCE_SECONDS, eventually, serve
from tests.servers.streams import content
from tests.servers.websocket import WebSocket

pytestmark = pytest.mark.server

# With its options, the status with which it can refuse a handshake, and a code with which it can close.
SERVERS = {
    "uvicorn": ((), 503, 1011),
    "uvicorn-h11": ((), 503, 1011),
    "hypercorn": ((), 503, 1011),
    "hypercorn-trio": ((), 503, 1011),
    "granian": (("--ws",), 503, 1011),
    "daphne": ((), 403, 4000),
    "gunicorn-asgi": ((), 403, 1011),
}


def rules(status: int, code: int) -> dict[str, str]:
    faults = {
        "refuse": {"websocket_refuse": {"status": status}},
        "close": {"websocket_close": {"code": code, "messages": 3, "reason": "enough"}},
        "late": {"websocket_close": {"code": code, "after": "300ms"}},
        "fin": {"websocket_close": {"by": "fin", "messages": 2}},
        "rst": {"websocket_close": {"by": "reset", "messages": 2}},
        "gone": {"websocket_close": {"by": "reset"}},
        "twice": {"websocket_messages": {"duplicate": "100%", "of": "outgoing"}},
        "slow": {"websocket_messages": {"delay": "20s"}},
    }
    written = [
        {"name": name, "match": {"path": {"exact": f"/ws/{name}"}}, "percentage": 100, **fault}
        for name, fault in faults.items()
    ]
    return {"FAULTWARE_RULES": json.dumps({"rules": written})}


@pytest.mark.parametrize("kind", SERVERS)
def test_every_fault_of_websockets_is_what_the_client_sees(kind):
    more, status, code = SERVERS[kind]
    with serve(kind, rules(status, code), *more, app="tests.servers.streams:app") as server:

        def connected(name):
            connection = server.connect()
            connections.append(connection)
            return WebSocket(connection, f"/ws/{name}")

        connections = []
        plain = connected("plain")
        plain.say("first")
        assert (plain.hear(), plain.mark) == ("first", "")

        refused = connected("refuse")
        assert refused.status == status

        closed = connected("close")
        closed.say("a", "b", "c")
        # These two lose the headers with which an application accepts.
        mark = "" if kind in ("granian", "daphne") else "close;websocket_close"
        assert (closed.hear(), closed.mark) == ("a", mark)
        # The third message is the client's second.
        assert (closed.hear(), closed.end) == (None, code)

        late = connected("late")
        assert (late.hear(), late.end) == (None, code)

        for name, end in (("fin", "FIN"), ("rst", "RST")):
            broken = connected(name)
            broken.say("a")
            assert (broken.hear(), broken.hear(), broken.end) == ("a", None, end)
        gone = connected("gone")
        assert (gone.status, gone.hear(), gone.end) == (101, None, "RST")

        twice = connected("twice")
        twice.say("a", "b")
        assert [twice.hear() for _ in range(4)] == ["a", "a", "b", "b"]

        slow = connected("slow")
        slow.say("late")
        eventually(lambda: server.status()["held"], "a message is held")
        server.control("POST", "kill")
        assert slow.hear() == "late"
        plain.say("last")
        assert plain.hear() == "last"
        for connection in connections:
            connection.close()
        eventually(lambda: server.status()["active_faults"] == 0, "nothing active")
        log = server.stop()
    assert "Traceback" not in log, log


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn", "granian-ws"])
def test_a_kill_while_an_end_waits_for_a_slow_client_loses_no_message(kind):
    rule = "/ticks 100% websocket_close by=fin after=50ms as w"
    with (
        serve(kind, {**ENDLESS, "FAULTWARE_RULES": rule}, app="tests.servers.streams:app") as server,
        socket.socket() as connection,
    ):
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        client = WebSocket(connection, "/ticks/")
        time.sleep(0.5)
        eventually(lambda: server.status()["active_faults"] == 1, "the end waits")
        server.control("POST", "kill")
        eventually(lambda: server.status()["active_faults"] == 0, "nothing active")
        first = b""
        while len(first) < 60_000:
            first += client.hear() or b""
        assert [first, *(client.hear() for _ in range(100))] == [content(60_000), *map(str, range(100))]
        log = server.log
    assert "Traceback" not in log, log
