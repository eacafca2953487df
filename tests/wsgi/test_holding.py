"""Held WSGI requests: they wait on an event, clients may leave where a server can tell, the switch releases."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from types import SimpleNamespace

import pytest

from tests.wsgi.connections import connected, copies, from_server, leave
from tests.wsgi.server import Application, ask, environment, kill, serve, wrapped

CLOSE_WAIT = 8
ESTABLISHED = 1


def assert_nothing_is_held(app) -> None:
    assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)


class FakeSocket:
    """A connection whose state changes at a time.

    Args:
        time: The clock.
        leaves_at: When the client closes it.
        error: What asking for the state raises instead.
    """

    def __init__(self, time, leaves_at=float("inf"), error=None):
        self.time = time
        self.leaves_at = leaves_at
        self.error = error
        self.asked = []

    def getsockopt(self, level, option, size):
        self.asked.append((level, option, size))
        if self.error is not None:
            raise self.error
        return bytes([CLOSE_WAIT if self.time() >= self.leaves_at else ESTABLISHED])


@pytest.mark.parametrize("key", ["gunicorn.socket", "werkzeug.socket"])
@pytest.mark.parametrize("rule", ["delay 20s", "hang", "delay 20s + abort 503"])
def test_a_client_that_closes_its_connection_ends_the_wait(time, key, rule):
    application = Application()
    app = wrapped(application, f"/pay 100% {rule}", time)
    began, connection = time(), FakeSocket(time, time() + 2.0)
    answer = ask(app, "/pay", **{key: connection})
    assert 2.0 <= time() - began <= 2.051
    assert (answer.status, answer.body, application.runs) == (499, b"", 0)
    assert set(connection.asked) == {(socket.IPPROTO_TCP, socket.TCP_INFO, 1)}
    assert max(time.waits) <= 0.05
    assert_nothing_is_held(app)


def test_a_client_that_waitress_says_is_gone_ends_the_wait(time):
    application = Application()
    app = wrapped(application, "/pay 100% delay 20s", time)
    leaves_at = time() + 2.0
    answer = ask(app, "/pay", **{"waitress.client_disconnected": lambda: time() >= leaves_at})
    assert (answer.status, application.runs) == (499, 0)
    assert 2.0 <= time() - leaves_at + 2.0 <= 2.051


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"waitress.client_disconnected": None},
        {"waitress.client_disconnected": "no"},
        {"waitress.client_disconnected": lambda: False},
        {"gunicorn.socket": None, "werkzeug.socket": None},
    ],
)
def test_a_client_that_stays_waits_to_the_end_and_no_shorter(time, more):
    app = wrapped(Application(), "/pay 100% delay 1234ms as r", time)
    began = time()
    assert ask(app, "/pay", **more).mark == "r;delay"
    assert time() - began == pytest.approx(1.234)
    assert_nothing_is_held(app)


@pytest.mark.parametrize("way", ["scan", "uwsgi"])
@pytest.mark.parametrize("rule", ["delay 20s", "hang", "delay_response 20s"])
def test_a_client_is_watched_where_the_server_hands_out_no_socket(time, monkeypatch, rule, way):
    with connected() as (client, server):
        monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(connection_fd=server.fileno))
        environ = from_server("cheroot", server, "/pay")
        if way == "uwsgi":
            del environ["REMOTE_PORT"]
            environ["uwsgi.version"] = b"2.0.31"
        app = wrapped(Application(), f"/pay 100% {rule}", time, lint=False)
        began = time()
        time.after(2.0, lambda: leave(client, server))
        assert serve(app, environ, lint=False).status == 499
        assert 2.0 <= time() - began <= 2.2
        assert copies(server) == 1
    assert_nothing_is_held(app)


def test_a_client_of_uwsgi_that_leaves_at_once_and_rudely_is_noticed(time, monkeypatch):
    with connected() as (client, server):
        monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(connection_fd=server.fileno))
        environ = {**from_server("cheroot", server, "/pay"), "uwsgi.version": b"2.0.31"}
        del environ["REMOTE_PORT"]
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        app = wrapped(Application(), "/pay 100% hang", time, lint=False)
        began = time()
        time.after(0.01, lambda: leave(client, server))
        assert serve(app, environ, lint=False).status == 499
        assert time() - began < 0.2


def test_a_connection_that_cannot_be_found_is_waited_for(time):
    app = wrapped(Application(), "/pay 100% delay 1s as r", time)
    began = time()
    assert ask(app, "/pay", REMOTE_PORT="50000", SERVER_SOFTWARE="another/1.0").mark == "r;delay"
    assert time() - began == pytest.approx(1.0)


def test_a_connection_that_has_been_lost_counts_as_left(time, monkeypatch):
    def lost(_self):
        raise OSError(107, "not connected")

    monkeypatch.setattr("faultware.runtime.wire.Wire.is_established", lost)
    app = wrapped(Application(), "/pay 100% delay 20s", time)
    with connected() as (_, server):
        assert serve(app, from_server("cheroot", server, "/pay")).status == 499


def test_a_wait_that_is_shorter_than_a_look_looks_for_no_connection(time, monkeypatch):
    monkeypatch.setattr("faultware.wsgi.waiting.wire_of", None)
    app = wrapped(Application(), "/pay 100% delay 50ms as r", time)
    with connected() as (_, server):
        assert serve(app, from_server("cheroot", server, "/pay")).mark == "r;delay"


def test_a_connection_that_is_none_of_tcp_is_waited_for(time):
    app = wrapped(Application(), "/pay 100% delay 1s as r", time)
    connection = FakeSocket(time, error=OSError(95, "not supported"))
    assert ask(app, "/pay", **{"gunicorn.socket": connection}).mark == "r;delay"


def test_a_system_without_the_state_of_connections_is_waited_for(time, monkeypatch):
    monkeypatch.delattr(socket, "TCP_INFO")
    app = wrapped(Application(), "/pay 100% delay 1s as r", time)
    connection = FakeSocket(time, 0.0)
    assert ask(app, "/pay", **{"gunicorn.socket": connection}).mark == "r;delay"
    assert connection.asked == []


def test_a_client_that_nobody_watches_costs_one_wait(time):
    app = wrapped(Application(), "/pay 100% delay 20s", time)
    ask(app, "/pay")
    assert time.waits == [20.0]


def test_a_wait_that_ends_early_goes_on(time, monkeypatch):
    wait = time.Event().__class__.wait
    monkeypatch.setattr(time.Event().__class__, "wait", lambda self, timeout: wait(self, timeout * 0.75))
    app = wrapped(Application(), "/pay 100% delay 2s as r", time)
    began = time()
    assert ask(app, "/pay").mark == "r;delay"
    assert time() - began >= 2.0 - 1e-9
    assert len(time.waits) > 1


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(
    ("rule", "mark"), [("delay 20s", "r;delay"), ("hang", "r;hang"), ("delay 20s + abort 503", "r;delay")]
)
def test_a_kill_releases_what_is_held_and_the_application_runs_once(time, rule, mark, watched):
    application = Application()
    app = wrapped(application, f"/pay 100% {rule} as r", time)
    began = time()
    time.after(1.0, lambda: kill(app))
    more = {"gunicorn.socket": FakeSocket(time)} if watched else {}
    answer = ask(app, "/pay", method="POST", body=b"money", **more)
    assert (answer.status, answer.mark, answer.body) == (200, mark, b"application money")
    assert (application.runs, time() - began) == (1, pytest.approx(1.0))
    assert_nothing_is_held(app)


def test_a_request_that_meets_the_kill_on_its_way_into_the_wait_is_not_held(time, monkeypatch):
    application = Application()
    app = wrapped(application, "/pay 100% delay 20s", time)
    holding = app._injector.holding
    add = holding.add

    def killed_meanwhile(_self, release):
        kill(app)
        return add(release)

    monkeypatch.setattr(type(holding), "add", killed_meanwhile)
    began = time()
    assert ask(app, "/pay").status == 200
    assert (application.runs, time() - began) == (1, 0.0)


def test_a_kill_releases_threads_that_wait_for_real():
    application = Application()
    app = wrapped(application, "/pay 100% delay 30s as r", lint=False)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(serve(app, environment("/pay"), lint=False)), daemon=True)
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    seen = threading.Event()
    while len(app._injector.holding) < 16:
        seen.wait(0.001)
    assert app._injector.active_faults == 16
    kill(app)
    for thread in threads:
        thread.join(20)
    assert [answer.mark for answer in answers] == ["r;delay"] * 16
    assert application.runs == 16
    assert_nothing_is_held(app)


def test_a_wait_that_is_interrupted_leaves_nothing_behind(time, monkeypatch):
    def interrupted(self, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(time.Event().__class__, "wait", interrupted)
    app = wrapped(Application(), "/pay 100% delay 20s", time)
    with pytest.raises(KeyboardInterrupt):
        ask(app, "/pay")
    assert_nothing_is_held(app)


def test_the_application_does_not_count_as_a_fault_while_it_works_behind_a_delay(time):
    counted = []

    def application(environ, start_response):
        counted.append(app._injector.active_faults)
        return Application()(environ, start_response)

    app = wrapped(application, "/pay 100% delay 1s", time)
    ask(app, "/pay")
    assert counted == [0]
