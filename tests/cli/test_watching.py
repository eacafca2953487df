"""What the raw client of the self-test sees, against servers that do exactly what a test says."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
import trustme

from faultware.cli import watching
from faultware.cli.talking import talk
from faultware.cli.watching import Address, Connection, exchange, read_response, request_bytes

PATIENCE_SECONDS = 20.0
REQUEST = request_bytes("GET", "/", {"host": "localhost"})
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def serving(*steps):
    """A server for one connection: it reads a request, and then sends or does each step; in the end it closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE_SECONDS)
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                with suppress(ConnectionError):  # a client that was not patient enough
                    for step in steps:
                        connection.sendall(step) if isinstance(step, bytes) else step(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address("127.0.0.1", listener.getsockname()[1])
        finally:
            thread.join()


def see(*steps):
    with serving(*steps) as address:
        return exchange(address, REQUEST, PATIENCE_SECONDS)


def test_a_whole_answer_is_whole():
    seen = see(WHOLE)
    assert (seen.response.status, seen.response.body, seen.response.is_whole, seen.end) == (200, b"body", True, "FIN")
    assert str(seen) == "200, 4 body bytes"


@pytest.mark.parametrize(
    ("steps", "end", "words"),
    [
        ((), "FIN", "FIN, 0 bytes"),
        ((reset,), "RST", "RST, 0 bytes"),
        ((WHOLE[:-2],), "FIN", "200, 2 of 4 body bytes, too short, FIN"),
        ((WHOLE[:-2], lambda _: acknowledged.wait(PATIENCE_SECONDS), reset), "RST", None),
        ((b"\x80\x81garbage",), "FIN", "9 bytes that are no response, FIN"),
        ((WHOLE[:20],), "FIN", "20 bytes that are no response, FIN"),
        ((WHOLE + b"more",), "FIN", "200, 8 of 4 body bytes, too long, FIN"),
    ],
)
def test_the_end_of_a_connection_is_told_apart(steps, end, words):
    acknowledged.clear()
    timer = threading.Timer(0.05, acknowledged.set)
    timer.start()
    seen = see(*steps)
    timer.join()
    assert seen.end == end
    assert words is None or str(seen) == words


acknowledged = threading.Event()


def test_a_server_that_never_answers_costs_no_more_than_the_patience():
    done = threading.Event()
    with serving(lambda _: done.wait(PATIENCE_SECONDS)) as address:
        seen = exchange(address, REQUEST, 0.05)
        done.set()
    assert (seen.end, seen.data) == ("open", b"")
    assert str(seen) == f"nothing for {seen.seconds:.1f} s"
    assert seen.seconds >= 0.05


def test_arrivals_have_their_times(monkeypatch):
    gate, receive, times = threading.Event(), Connection.receive, iter([100.0, 100.25, 102.0, 102.5])

    def received(connection):
        try:
            return receive(connection)
        finally:
            gate.set()

    monkeypatch.setattr(Connection, "receive", received)
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=times.__next__))
    seen = see(WHOLE[:-2], lambda _: gate.wait(PATIENCE_SECONDS), WHOLE[-2:])
    assert seen.arrivals == ((0.25, len(WHOLE) - 2), (2.0, len(WHOLE)))
    assert (seen.longest_pause_seconds, seen.last_byte_seconds, seen.seconds) == (1.75, 2.0, 2.5)


@pytest.mark.parametrize(
    ("data", "body", "flaw"),
    [
        (b"4\r\nbody\r\n0\r\n\r\n", b"body", ""),
        (b"4;a=b\r\nbody\r\n1\r\n!\r\n0\r\n\r\n", b"body!", ""),
        (b"4\r\nbo", b"bo", "no last chunk"),
        (b"4\r\nbody\r\n", b"body", "no last chunk"),
        (b"", b"", "no last chunk"),
        (b"4\r\nbody\r\nzz\r\n", b"body", "a bad chunk"),
        (b"4\r\nbodyxx", b"body", "a bad chunk"),
    ],
)
def test_chunks_are_read_as_far_as_they_are_some(data, body, flaw):
    response = read_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    assert (response.body, response.flaw) == (body, flaw)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 OK\r\n\r\n", b"SSH-2.0 200\r\n\r\n"])
def test_what_is_no_response_has_no_status(data):
    assert read_response(data).status is None


def test_an_interim_response_is_passed_over():
    assert read_response(b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE).status == 200


# WebSockets.


def frame(kind, payload):
    size = bytes([len(payload)]) if len(payload) < 126 else struct.pack("!BH", 126, len(payload))
    return bytes([0x80 | kind]) + size + payload


def converse(*steps):
    with serving(*steps) as address:
        return talk(address, "/", {"host": "localhost"}, (b"one",), PATIENCE_SECONDS)


def take(connection):
    connection.recv(65536)


def test_messages_and_the_code_of_a_close_frame_are_heard():
    heard = converse(UPGRADED, take, frame(1, b"one"), frame(2, b"x" * 300), frame(8, struct.pack("!H", 1011)), take)
    assert (heard.status, heard.messages, heard.code) == (101, (b"one", b"x" * 300), 1011)
    assert str(heard) == "2 messages, closed with 1011"


def test_a_connection_that_ends_without_a_close_frame_is_told_apart():
    assert str(converse(UPGRADED, frame(1, b"one"), take)) == "1 messages, no close frame, FIN"
    assert str(converse(UPGRADED, take, reset)) == "0 messages, no close frame, RST"


def test_a_handshake_that_is_refused_has_its_status():
    heard = converse(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
    assert (heard.status, str(heard)) == (503, "handshake answered with 503")
    assert str(converse(reset)) == "handshake unanswered, RST"


def test_whoever_says_nothing_more_is_taken_leave_of(monkeypatch):
    left, heard, receive = bytearray(), [], Connection.receive
    sizes = (2 + 4 + 3, 2 + 4 + 4, 2 + 4 + 2)  # of its text, its pong and its close frame, with their masks

    def received(connection):
        is_all = heard and isinstance(heard[-1], bytes) and b"ping" in heard[-1]
        heard.append("open" if is_all else receive(connection))
        return heard[-1]

    def listen(connection):
        while len(left) < sum(sizes) and (data := connection.recv(65536)):
            left.extend(data)

    monkeypatch.setattr(Connection, "receive", received)
    talk = converse(UPGRADED, frame(9, b"ping"), listen)
    assert (talk.messages, talk.code) == ((), None)
    assert left[sum(sizes[:2])] == 0x88


# TLS.


def test_under_tls_the_end_of_the_connection_below_is_seen():
    authority = trustme.CA()
    server_rules = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_rules)
    rules = ssl.create_default_context()
    authority.configure_trust(rules)
    for steps, words in (((WHOLE,), "200, 4 body bytes"), ((reset,), "RST, 0 bytes")):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE_SECONDS)

            def serve(steps=steps, listener=listener):
                connection, _ = listener.accept()
                connection.settimeout(PATIENCE_SECONDS)
                with server_rules.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(65536)
                    for step in steps:
                        tls.sendall(step) if isinstance(step, bytes) else step(tls)

            thread = threading.Thread(target=serve)
            thread.start()
            seen = exchange(Address("127.0.0.1", listener.getsockname()[1], rules), REQUEST, PATIENCE_SECONDS)
            thread.join()
        assert str(seen) == words
