"""The connection of a WSGI request: where it is found, what it allows, and how each server is told of its end."""

from __future__ import annotations

import errno
import io
import sys
from types import SimpleNamespace

import pytest
import waitress.channel

from faultware.core import faults as kinds
from faultware.core.faults import Bytes
from faultware.errors import InjectedDisconnect
from faultware.runtime.holding import Ending
from faultware.wsgi.requests import EnvironRequest
from faultware.wsgi.transport import Connection, forget_body, part, reach
from tests.wsgi.connections import connected, from_server, received
from tests.wsgi.server import environment

SERVERS = ("gunicorn", "werkzeug", "waitress", "cheroot", "unknown")
POLITE = (kinds.Close(), kinds.Truncate(Bytes(1)), kinds.LimitData(1))
RUDE = (kinds.Reset(), kinds.Truncate(Bytes(1), by="reset"))
RAW = (kinds.PartialHead(), kinds.Garbage(), kinds.ContentLength(1), kinds.MalformedChunk())
NEVER = (kinds.StreamReset(), kinds.WebsocketRefuse())


def reached(environ) -> Connection:
    return reach(environ, EnvironRequest(environ, environ["PATH_INFO"]))


def allowed(connection: Connection, *faults) -> set[bool]:
    return {connection.allows(fault) for fault in faults}


@pytest.mark.parametrize("kind", SERVERS)
def test_the_connection_is_found_under_every_server_and_allows_what_it_can(kind):
    with connected() as (client, server):
        connection = reached(from_server(kind, server))
        assert allowed(connection, *POLITE, *RUDE, *RAW, kinds.Delay(1), kinds.Kill()) == {True}
        assert allowed(connection, *NEVER) == {False}
        connection.end("reset")
        connection.close()
        assert received(client) == (b"", "reset")


@pytest.mark.parametrize(
    "more",
    [
        {"HTTP_FORWARDED": "for=192.0.2.1"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"REMOTE_PORT": "0"},
        {"REMOTE_ADDR": "192.0.2.1"},
        {"SERVER_PORT": "1"},
        {"SERVER_PROTOCOL": "HTTP/2.0"},
        {"SERVER_PROTOCOL": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", SERVERS)
def test_a_connection_that_others_may_share_or_that_is_not_certain_is_let_alone(kind, more):
    with connected() as (client, server):
        connection = reached(from_server(kind, server, **more))
        assert allowed(connection, *POLITE, *RUDE, *RAW) == {False}
        connection.end("reset")
        connection.close()
        assert received(client, is_over=False) == (b"", "open")


@pytest.mark.parametrize("port", ["", "none", None, "-1"])
def test_a_server_that_names_no_port_of_the_client_has_no_connection_to_be_found(port):
    with connected() as (_, server):
        assert allowed(reached(from_server("unknown", server, REMOTE_PORT=port)), *POLITE, *RAW) == {False}


@pytest.mark.parametrize("more", [{"wsgi.url_scheme": "https"}, {"SERVER_PROTOCOL": "HTTP/1.0"}], ids=str)
def test_under_tls_and_before_http_1_1_nothing_is_written_past_the_server(more):
    with connected() as (_, server):
        connection = reached(from_server("gunicorn", server, **more))
        assert allowed(connection, *POLITE, *RUDE) == {True}
        assert allowed(connection, *RAW) == {False}
        connection.close()


def test_a_client_in_this_process_has_no_connection_and_meets_its_end_as_an_exception():
    connection = reached(environment("/", headers=[("X-Forwarded-For", "192.0.2.1")]))
    assert connection.wire is None
    assert allowed(connection, *POLITE, *RUDE, *RAW) == {True}
    assert allowed(connection, *NEVER) == {False}


@pytest.mark.parametrize(
    ("more", "rude", "polite"),
    [
        ({}, True, True),
        ({"UWSGI_ROUTER": "http"}, False, True),
        # nginx's uwsgi_pass: the connection is its own.
        ({"REMOTE_PORT": "50000"}, False, False),
    ],
    ids=str,
)
def test_uwsgi_hands_out_a_descriptor_whose_owner_its_own_words_tell(monkeypatch, more, rude, polite):
    with connected() as (client, server):
        monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(connection_fd=server.fileno))
        environ = from_server("unknown", server, SERVER_SOFTWARE=None, **{"REMOTE_PORT": None, **more})
        connection = reached({**environ, "uwsgi.version": b"2.0.31"})
        assert (allowed(connection, *RUDE), allowed(connection, *POLITE, *RAW)) == ({rude}, {polite})
        connection.end("fin")
        connection.close()
        assert received(client, is_over=polite) == (b"", "fin" if polite else "open")


def test_a_uwsgi_without_its_module_has_no_connection():
    environ = {**environment("/"), "uwsgi.version": b"2.0.31"}
    assert allowed(reached(environ), *POLITE) == {False}


def test_the_server_keeps_its_descriptor_and_the_duplicate_is_closed():
    with connected() as (client, server):
        connection = reached(from_server("gunicorn", server))
        wire = connection.wire
        connection.close()
        connection.close()
        assert (connection.wire, wire._descriptor) == (None, -1)
        server.sendall(b"still here")
        assert client.recv(100) == b"still here"


class FakeWire:
    """Takes so many bytes at each write, and has so many unacknowledged at each look."""

    def __init__(self, *steps) -> None:
        self.steps = list(steps)
        self.data = b""

    def write(self, data: bytes) -> int:
        step = self.steps.pop(0)
        if isinstance(step, OSError):
            raise step
        self.data += data[:step]
        return min(step, len(data))

    def unacknowledged(self) -> int:
        step = self.steps.pop(0)
        if isinstance(step, OSError):
            raise step
        return step


class Pauses:
    """Counts waits, of which one may end otherwise than by its time."""

    def __init__(self, *endings: Ending) -> None:
        self.count = 0
        self.endings = list(endings)

    def __call__(self, seconds: float) -> Ending:
        assert seconds == 0.005
        self.count += 1
        return self.endings.pop(0) if self.endings else Ending.OVER


def test_a_write_waits_while_the_client_does_not_read():
    wire, pause = FakeWire(4, 0, 0, 100), Pauses()
    assert Connection(wire).write(b"0123456789", pause, 1.0) is Ending.OVER
    assert (wire.data, pause.count) == (b"0123456789", 3)


def test_a_client_that_never_reads_counts_as_gone():
    wire, pause = FakeWire(4, *[0] * 50), Pauses()
    assert Connection(wire).write(b"0123456789", pause, 0.1) is Ending.GONE
    assert 19 <= pause.count <= 21


@pytest.mark.parametrize("ending", [Ending.RELEASED, Ending.GONE])
def test_a_write_ends_with_the_wait(ending):
    assert Connection(FakeWire(4)).write(b"0123456789", Pauses(ending), 1.0) is ending


def test_a_client_that_has_gone_cannot_be_written_to_nor_waited_for():
    broken = OSError(errno.EPIPE, "broken pipe")
    assert Connection(FakeWire(broken)).write(b"x", Pauses(), 1.0) is Ending.GONE
    assert Connection(FakeWire(broken)).drain(Pauses(), 1.0) is Ending.GONE


def test_a_drain_waits_until_nothing_is_under_way_twice():
    pause = Pauses()
    assert Connection(FakeWire(700, 0, 300, 0, 0)).drain(pause, 1.0) is Ending.OVER
    assert pause.count == 5


def test_a_drain_waits_for_what_the_server_keeps_to_itself():
    kept, pause = [5, 5, 0, 0], Pauses()
    assert Connection(FakeWire(0, 0, 0, 0), pending=lambda: kept.pop(0)).drain(pause, 1.0) is Ending.OVER
    assert pause.count == 4


def test_what_is_handed_on_between_two_looks_is_seen():
    wire, kept = FakeWire(), [0]

    def hand_on() -> int:
        wire.steps = [5]
        return kept.pop(0)

    # By the first look the server has nothing any more, and by the second the kernel has it.
    assert Connection(wire, pending=hand_on).settle(Pauses(Ending.RELEASED), 1.0) is Ending.RELEASED


def test_nobody_waits_for_an_earlier_answer_where_there_is_none():
    pause = Pauses()
    assert Connection(FakeWire(0)).settle(pause, 1.0) is Ending.OVER
    assert Connection().settle(pause, 1.0) is Ending.OVER
    assert Connection(FakeWire(OSError(errno.EPIPE, "broken pipe"))).settle(pause, 1.0) is Ending.GONE
    assert pause.count == 0


def test_a_drain_gives_up_on_a_peer_that_takes_nothing_but_not_on_a_slow_one():
    pause = Pauses()
    assert Connection(FakeWire(*[700] * 100)).drain(pause, 0.1) is Ending.OVER
    assert 20 <= pause.count <= 22
    slow, pause = [left for size in range(500, 0, -10) for left in [size] * 10], Pauses()
    assert Connection(FakeWire(*slow, 0, 0)).drain(pause, 0.1) is Ending.OVER
    assert pause.count == 502


@pytest.mark.parametrize("ending", [Ending.RELEASED, Ending.GONE])
def test_a_drain_ends_with_the_wait(ending):
    assert Connection(FakeWire(700)).drain(Pauses(ending), 1.0) is ending


def test_where_there_is_no_connection_nothing_is_written_drained_or_ended():
    connection, pause = Connection(is_in_process=True), Pauses()
    assert connection.write(b"x", pause, 1.0) is connection.drain(pause, 1.0) is Ending.OVER
    connection.end("reset")
    assert pause.count == 0


def given_up(environ, *, has_begun: bool):
    """What a server is given, and what it is raised."""
    started = []
    start_response = None if has_begun else lambda *given: started.append(given)
    try:
        return part(environ, start_response), started, None
    except Exception as error:
        return None, started, error


@pytest.mark.parametrize("has_begun", [False, True])
@pytest.mark.parametrize("kind", ["gunicorn", "werkzeug", "cheroot", "in-process"])
def test_servers_that_know_a_connection_reset_are_raised_one(kind, has_begun):
    with connected() as (_, server):
        environ = environment("/") if kind == "in-process" else from_server(kind, server)
        _, started, error = given_up(environ, has_begun=has_begun)
        assert (type(error), error.errno, started) == (InjectedDisconnect, errno.ECONNRESET, [])
        assert isinstance(error, ConnectionResetError)


def test_waitress_is_raised_its_own_word_for_it_in_the_middle_of_a_response_and_given_nothing_before():
    with connected() as (_, server):
        environ = from_server("waitress", server)
        assert type(given_up(environ, has_begun=True)[2]) is waitress.channel.ClientDisconnected
        assert given_up(environ, has_begun=False) == ([], [("200 OK", [("Content-Length", "0")])], None)


def test_other_servers_are_given_nothing_more():
    with connected() as (_, server):
        environ = from_server("unknown", server)
        assert given_up(environ, has_begun=True) == ([], [], None)
        assert given_up(environ, has_begun=False) == ([], [("200 OK", [("Content-Length", "0")])], None)


@pytest.mark.parametrize("has_begun", [False, True])
def test_uwsgi_is_given_nothing_and_closes_its_descriptor_itself(monkeypatch, has_begun):
    told = []
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(disconnect=lambda: told.append("disconnect")))
    environ = {**environment("/"), "uwsgi.version": b"2.0.31"}
    assert given_up(environ, has_begun=has_begun) == ([], [], None)
    assert told == []


@pytest.mark.parametrize(
    ("software", "encoding", "left"),
    [
        ("Cheroot/11.1.2 Server", "chunked", 0),
        ("Cheroot/11.1.2 Server", "", 100_000),
        ("gunicorn/27.0.1", "chunked", 100_000),
    ],
)
def test_what_cheroot_would_take_for_the_next_request_is_read(software, encoding, left):
    stream = io.BytesIO(bytes(100_000))
    forget_body({"SERVER_SOFTWARE": software, "HTTP_TRANSFER_ENCODING": encoding, "wsgi.input": stream})
    assert len(stream.read()) == left


def test_no_more_is_read_than_a_bound():
    stream = io.BytesIO(bytes(3 * 2**20))
    environ = {"SERVER_SOFTWARE": "Cheroot/1", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": stream}
    forget_body(environ)
    assert stream.tell() == 2**20
