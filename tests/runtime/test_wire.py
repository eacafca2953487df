"""The connection of a request, found in this process and hurt past whoever serves it. Sockets are real, on loopback."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import struct
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from faultware.core.request import Request
from faultware.runtime.wire import Wire, adopt, find, is_proxied
from tests.state.test_stores import eventually

PATIENCE_SECONDS = 20.0


@contextmanager
def connected(family=socket.AF_INET, host="127.0.0.1"):
    """A client's socket, the server's, and the address of each as the server sees them."""
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        listener.settimeout(PATIENCE_SECONDS)
        with socket.create_connection(listener.getsockname()[:2], PATIENCE_SECONDS) as client:
            server, _ = listener.accept()
            with server:
                server.settimeout(PATIENCE_SECONDS)
                yield client, server


def ends(server):
    """The client's address and the server's port."""
    return server.getpeername()[:2], server.getsockname()[1]


def descriptors():
    gc.collect()
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def readable(connection):
    return bool(select.select([connection], [], [], PATIENCE_SECONDS)[0])


@pytest.mark.parametrize("how", ["find", "adopt"])
def test_a_reset_reaches_the_client_and_what_came_before_it_is_still_there(how):
    with connected() as (client, server):
        server.sendall(b"before")
        with find(*ends(server)) if how == "find" else adopt(server, *ends(server)) as wire:
            while wire.unacknowledged():
                pass
            wire.reset()
        assert client.recv(100) == b"before"
        with pytest.raises(ConnectionResetError):
            client.recv(100)
        # The server finds its connection ended as if the client had ended it.
        with pytest.raises(OSError):
            server.sendall(b"x")


@pytest.mark.parametrize("how", ["close", "half", "reset"])
def test_a_client_that_leaves_is_seen_behind_bytes_that_nobody_has_read(how):
    with connected() as (client, server), find(*ends(server)) as wire:
        assert wire.is_established()
        client.sendall(b"unread")
        assert readable(server)
        assert wire.is_established()
        if how == "half":
            client.shutdown(socket.SHUT_WR)
        elif how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how != "half":
            client.close()
        eventually(lambda: not wire.is_established())


def test_a_finish_sends_what_was_written_and_then_ends():
    with connected() as (client, server):
        server.sendall(b"x" * 100_000)
        with find(*ends(server)) as wire:
            wire.finish()
            wire.finish()  # nothing is left to end
        received = bytearray()
        while data := client.recv(65536):
            received += data
        assert len(received) == 100_000
        assert server.recv(100) == b""


def test_a_client_that_has_left_leaves_nothing_to_finish():
    with connected() as (_, server), find(*ends(server)) as wire:
        wire.reset()
        wire.finish()


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET6, "::1"), (socket.AF_INET6, "::ffff:127.0.0.1")], ids=["IPv6", "both"]
)
@pytest.mark.parametrize("prefix", ["", "::ffff:"])
def test_addresses_are_compared_as_addresses_and_not_as_text(family, host, prefix):
    named = "0:0:0:0:0:0:0:1" if prefix and host == "::1" else prefix + host.removeprefix("::ffff:")
    with connected(family, host) as (_, server):
        port = server.getpeername()[1]
        with find((named, port), server.getsockname()[1]) as wire:
            assert wire.unacknowledged() == 0


def test_nothing_is_guessed():
    with connected() as (client, server), connected() as (_, other):
        (host, port), local = ends(server)
        wrong = [
            (None, local),
            ((host, 0), local),
            ((host, port), 0),
            ((host, port), None),
            ((host, port), other.getsockname()[1]),
            ((host, other.getpeername()[1]), local),
            (("127.0.0.2", port), local),
            (("testclient", port), local),
            # The client's own socket is in this process, too.
            ((host, local), port + 1),
        ]
        before = descriptors()
        for client_address, local_port in wrong:
            assert find(client_address, local_port) is None, (client_address, local_port)
        assert adopt(other, *ends(server)) is None
        assert adopt(server, (host, 0), local) is None
        assert adopt(None, *ends(server)) is None
        assert descriptors() == before
        client.sendall(b"unharmed")
        assert server.recv(100) == b"unharmed"


def test_two_descriptors_of_one_connection_are_one_connection():
    with connected() as (_, server), ExitStack() as copies:
        for _ in range(5):
            copies.enter_context(server.dup())
        with find(*ends(server)) as wire:
            assert wire is not None


def test_the_servers_descriptor_stays_open_and_as_it_was_even_with_a_default_timeout():
    with connected() as (client, server):
        server.setblocking(True)
        own = server.fileno()
        before = descriptors()
        socket.setdefaulttimeout(5)
        try:
            with find(*ends(server)), adopt(server, *ends(server)):
                pass
        finally:
            socket.setdefaulttimeout(None)
        assert descriptors() == before
        assert os.get_blocking(own)
        client.sendall(b"x")
        assert server.recv(1) == b"x"


def test_a_handle_may_be_a_number_and_its_client_unknown():
    with connected() as (client, server):
        with adopt(server.fileno(), None, None) as wire:
            wire.finish()
        assert client.recv(1) == b""


@pytest.mark.parametrize("kind", ["closed", "unix", "datagram", "listening", "file", "uvloop"])
def test_what_is_no_connection_over_tcp_is_not_adopted(kind, tmp_path):
    class ClosedHandle:
        def fileno(self):
            raise RuntimeError("the handle is closed")  # as uvloop says it

    with ExitStack() as stack:
        if kind == "uvloop":
            handle = ClosedHandle()
        elif kind == "file":
            handle = stack.enter_context((tmp_path / "file").open("wb"))
        elif kind == "unix":
            handle, other = socket.socketpair()
            stack.enter_context(handle)
            stack.enter_context(other)
        elif kind == "datagram":
            handle = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            handle.connect(("127.0.0.1", 9))
        else:
            handle = stack.enter_context(socket.socket())
            if kind == "listening":
                handle.listen()
            else:
                handle.close()
        before = descriptors()
        assert adopt(handle, None, None) is None
        assert descriptors() == before


def test_no_descriptor_is_lost_when_a_number_changes_hands_between_the_look_and_the_copy(monkeypatch):
    with connected() as (client, server), connected() as (_, other):
        real = os.dup
        monkeypatch.setattr("faultware.runtime.wire.os.dup", lambda _: real(other.fileno()))
        before = descriptors()
        assert find(*ends(server)) is None
        assert adopt(server, *ends(server)) is None
        assert descriptors() == before
        client.sendall(b"unharmed")
        assert server.recv(100) == b"unharmed"


def test_descriptors_that_close_during_the_look_do_no_harm():
    stop = threading.Event()

    def open_and_close():
        while not stop.is_set():
            with socket.socket(), socket.socket():
                pass

    thread = threading.Thread(target=open_and_close)
    thread.start()
    try:
        with connected() as (_, server):
            for _ in range(100):
                with find(*ends(server)) as wire:
                    assert wire.unacknowledged() == 0
    finally:
        stop.set()
        thread.join()


def test_without_a_list_of_descriptors_nothing_is_found(monkeypatch):
    monkeypatch.setattr("faultware.runtime.wire._DESCRIPTORS", "/proc/self/no-such-place")
    with connected() as (_, server):
        assert find(*ends(server)) is None


def test_elsewhere_than_on_linux_nothing_is_found(monkeypatch):
    monkeypatch.setattr("faultware.runtime.wire.IS_LINUX", False)
    with connected() as (_, server):
        assert find(*ends(server)) is None
        assert adopt(server, *ends(server)) is None


def test_what_fits_is_written_and_nobody_waits():
    with connected() as (client, server), find(*ends(server)) as wire:
        assert wire.write(b"raw") == 3
        assert client.recv(10) == b"raw"
        written = 0
        while count := wire.write(b"x" * 1_000_000):
            written += count
        assert written > 0
        assert wire.unacknowledged() > 0


def test_a_write_to_an_ended_connection_says_so():
    with connected() as (_, server), find(*ends(server)) as wire:
        wire.reset()
        with pytest.raises(OSError) as caught:
            wire.write(b"x")
        assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)


def test_a_closed_wire_does_nothing_to_anybody():
    wire = Wire(os.dup(0))
    wire.close()
    wire.close()
    with pytest.raises(OSError):
        wire.reset()


def test_what_is_not_read_is_not_acknowledged_until_the_kernel_of_the_client_has_it():
    with connected() as (client, server), find(*ends(server)) as wire:
        server.setblocking(False)
        while True:
            try:
                server.send(b"x" * 1_000_000)
            except BlockingIOError:
                break
        assert wire.unacknowledged() > 0
        while wire.unacknowledged():
            assert readable(client)
            client.recv(1_000_000)


def test_nothing_is_under_way_any_more_to_a_client_that_has_reset_the_connection():
    with connected() as (client, server), find(*ends(server)) as wire:
        while wire.write(b"x" * 1_000_000):
            pass
        assert wire.unacknowledged() > 0
        client.close()  # with what it has not read
        eventually(lambda: wire.unacknowledged() == 0)


@pytest.mark.parametrize(
    ("headers", "port", "is_so"),
    [
        ([], 50000, False),
        ([], None, False),
        ([("host", "a"), ("x-request-id", "1")], 50000, False),
        ([], 0, True),
        ([("Via", "1.1 proxy")], 50000, True),
        ([("X-Forwarded-For", "10.0.0.1")], 50000, True),
        ([("Forwarded", "for=10.0.0.1")], 50000, True),
        ([("X-Real-IP", "10.0.0.1")], 50000, True),
    ],
)
def test_a_proxy_gives_itself_away(headers, port, is_so):
    assert is_proxied(Request(headers=headers), port) is is_so
