"""Shaped WSGI responses that are let go: by the kill switch, by a client that leaves, by a failure of our own."""

from __future__ import annotations

import pytest

from faultware.core import faults as kinds
from faultware.core.faults import Bytes
from faultware.errors import InjectedDisconnect
from faultware.runtime.wire import Wire
from tests.failing import Failing
from tests.wsgi.connections import connected, from_server, received
from tests.wsgi.server import environment, kill, rules, serve, tally, wrapped
from tests.wsgi.test_holding import FakeSocket

PIECES = [b"0123456789", b"abcdefghij", b"ABCDEFGHIJ"]
BODY = b"".join(PIECES)
LENGTH = [("Content-Type", "text/plain"), ("Content-Length", "30")]
SLOW = {
    "throttle": kinds.Throttle(1),
    "slice_": kinds.Slice(3, pause_seconds=5),
    "dribble": kinds.Dribble(100),
    "stall": kinds.Stall(Bytes(15), 25),
    "slow_close": kinds.SlowClose(25),
    "delay_response": kinds.DelayResponse(25),
}


def assert_nothing_is_left(app) -> None:
    assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)


def by_generator(environ, start_response):
    start_response("200 OK", LENGTH)
    yield from PIECES


def by_write(environ, start_response):
    write = start_response("200 OK", LENGTH)
    for piece in PIECES:
        write(piece)
    return []


@pytest.mark.parametrize("way", [by_generator, by_write])
@pytest.mark.parametrize("kind", SLOW)
def test_a_kill_lets_go_what_is_held_and_everything_behind_it(time, kind, way):
    app = wrapped(way, rules(**{kind: SLOW[kind]}), time)
    began = time()
    time.after(3.3, lambda: kill(app))
    answer = serve(app, environment("/pay"))
    assert (answer.status, answer.body, answer.mark) == (200, BODY, f"r;{kind.removesuffix('_')}")
    assert time() - began == pytest.approx(3.3)
    assert_nothing_is_left(app)


def test_a_fault_that_has_been_let_go_is_not_active_while_the_response_goes_on(time):
    active = []

    def application(environ, start_response):
        start_response("200 OK", LENGTH)
        for piece in PIECES:
            active.append(app._injector.active_faults)
            yield piece

    app = wrapped(application, rules(throttle=kinds.Throttle(10)), time)
    time.after(1.05, lambda: kill(app))
    assert serve(app, environment("/pay")).body == BODY
    assert active == [1, 1, 0]


def test_a_kill_before_the_application_answers_leaves_its_response_alone(time):
    def application(environ, start_response):
        kill(app)
        start_response("200 Fine By Me", LENGTH)
        return list(PIECES)

    faults = {"replace_status": kinds.ReplaceStatus(503), "throttle": kinds.Throttle(1)}
    app = wrapped(application, rules(**faults), time)
    began = time()
    answer = serve(app, environment("/pay"))
    assert (answer.status, answer.body, answer.mark, time()) == (200, BODY, None, began)
    assert tally(app) == ({}, {"killed": 2})
    assert_nothing_is_left(app)


def test_a_kill_between_two_pieces_ends_what_never_waits(time):
    def application(environ, start_response):
        start_response("200 OK", LENGTH)
        yield PIECES[0]
        kill(app)
        yield PIECES[1]
        yield PIECES[2]

    app = wrapped(application, rules(corrupt=kinds.Corrupt(100)), time)
    body = serve(app, environment("/pay")).body
    assert (body[:10] != PIECES[0], body[10:]) == (True, BODY[10:])


def test_a_kill_while_a_cut_waits_for_the_peer_calls_it_off(time, monkeypatch):
    monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _self: 1)
    app = wrapped(by_generator, rules(truncate=kinds.Truncate(Bytes(13))), time)
    time.after(1.0, lambda: kill(app))
    with connected() as (client, server):
        assert serve(app, from_server("gunicorn", server, "/pay")).body == BODY
        assert received(client, is_over=False) == (b"", "open")
    assert_nothing_is_left(app)


def test_a_response_that_has_begun_past_the_server_goes_on_there_after_a_kill(time, monkeypatch):
    # A kernel may take its time to acknowledge, in real time.
    monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _self: 0)
    app = wrapped(by_generator, rules(content_length=kinds.ContentLength(5), throttle=kinds.Throttle(5)), time)
    began = time()
    time.after(3.0, lambda: kill(app))
    with connected() as (client, server):
        with pytest.raises(InjectedDisconnect):
            serve(app, from_server("gunicorn", server, "/pay"))
        data, ending = received(client)
    assert (data.endswith(b"\r\n\r\n" + BODY), ending) == (True, "fin")
    assert time() - began == pytest.approx(3.0, abs=0.1)
    assert_nothing_is_left(app)


def test_a_kill_takes_nothing_from_a_piece_that_is_being_written_past_the_server(time, monkeypatch):
    write = Wire.write
    monkeypatch.setattr(Wire, "unacknowledged", lambda _self: 0)
    monkeypatch.setattr(Wire, "write", lambda self, data: write(self, data) if time() > began + 2.0 else 0)
    app = wrapped(by_generator, rules(content_length=kinds.ContentLength(5)), time)
    began = time()
    time.after(1.0, lambda: kill(app))
    with connected() as (client, server):
        with pytest.raises(InjectedDisconnect):
            serve(app, from_server("gunicorn", server, "/pay"))
        data, ending = received(client)
    assert (data.endswith(b"\r\n\r\n" + BODY), ending) == (True, "fin")


@pytest.mark.parametrize("kind", ["throttle", "stall", "slow_close"])
def test_a_client_that_leaves_ends_a_response_that_has_begun(time, kind):
    app = wrapped(by_generator, rules(**{kind: SLOW[kind]}), time, lint=False)
    began = time()
    closed = []
    iterable = app(
        environment("/pay", **{"gunicorn.socket": FakeSocket(time, time() + 2.0)}),
        lambda *_given: lambda _data: None,
    )
    with pytest.raises(InjectedDisconnect):
        closed.extend(iterable)
    iterable.close()
    assert 2.0 <= time() - began <= 2.051
    assert_nothing_is_left(app)


def test_a_client_that_leaves_before_the_response_has_begun_is_written_down_as_gone(time):
    app = wrapped(by_generator, rules(delay_response=SLOW["delay_response"]), time, lint=False)
    answer = serve(app, environment("/pay", **{"gunicorn.socket": FakeSocket(time, time() + 2.0)}))
    assert (answer.status, answer.body) == (499, b"")
    assert tally(app) == ({"delay_response": 1}, {})
    assert_nothing_is_left(app)


def test_a_kill_and_a_departure_during_the_delay_in_front_leave_the_response_alone(time):
    faults = {"delay": kinds.Delay(20), "throttle": kinds.Throttle(1), "replace_status": kinds.ReplaceStatus(503)}
    app = wrapped(by_generator, rules(**faults), time)
    time.after(1.0, lambda: kill(app))
    answer = serve(app, environment("/pay"))
    assert (answer.status, answer.mark, answer.body) == (200, "r;delay", BODY)
    assert tally(app) == ({"delay": 1}, {"killed": 2})
    app = wrapped(by_generator, rules(**faults), time)
    answer = serve(app, environment("/pay", **{"gunicorn.socket": FakeSocket(time, time() + 2.0)}))
    assert (answer.status, tally(app)) == (499, ({"delay": 1}, {"gone": 2}))
    assert_nothing_is_left(app)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("at", range(5))
def test_a_failure_of_our_own_is_counted_and_the_response_passes(time, monkeypatch, at, again):
    monkeypatch.setattr("faultware.wsgi.acting.shape", lambda *given: Failing(at, given[-1], again=again))
    app = wrapped(by_generator, rules(throttle=kinds.Throttle(1)), time, lint=False)
    answer = serve(app, environment("/pay"), lint=False)
    lost = PIECES[at - 1] if 1 <= at <= 3 else b""
    assert (answer.status, answer.body) == (200, BODY.replace(lost, b"") if lost else BODY)
    assert app._injector.internal_errors == {"act": 1 + again}
    assert_nothing_is_left(app)


def by_list(environ, start_response):
    start_response("200 OK", LENGTH)
    return list(PIECES)


@pytest.mark.parametrize(("way", "is_kept"), [(by_list, True), (by_generator, True), (by_write, False)])
def test_an_answer_that_was_to_be_lost_is_kept_if_the_switch_is_killed_before_it_begins(time, way, is_kept):
    def application(environ, start_response):
        iterable = way(environ, start_response)
        kill(app)
        return iterable

    faults = {"delay": kinds.Delay(2), "abort": kinds.Abort(503, after=True)}
    app = wrapped(application, rules(**faults), time)
    answer = serve(app, environment("/pay"))
    if is_kept:
        assert (answer.status, answer.body, answer.mark) == (200, BODY, "r;delay")
        assert tally(app) == ({"delay": 1}, {"killed": 1})
    else:
        assert (answer.status, answer.mark) == (503, "r;delay, r;abort")
    assert_nothing_is_left(app)


def test_an_answer_that_is_kept_is_whole_although_it_is_written_while_it_is_iterated(time):
    def application(environ, start_response):
        write = start_response("200 OK", LENGTH)
        kill(app)

        def pieces():
            write(PIECES[0])
            yield PIECES[1]
            write(PIECES[2])

        return pieces()

    app = wrapped(application, rules(abort=kinds.Abort(503, after=True)), time, lint=False)
    answer = serve(app, environment("/pay"), lint=False)
    # What was written comes first in this server's answer.
    assert (answer.status, answer.body, answer.written) == (200, PIECES[0] + PIECES[2] + PIECES[1], PIECES[::2])
    assert_nothing_is_left(app)


def test_an_answer_that_is_kept_is_closed_if_the_server_refuses_its_head(time):
    closed = []

    class Pieces(list):
        def close(self):
            closed.append(True)

    def application(environ, start_response):
        start_response("200 OK", LENGTH)
        kill(app)
        return Pieces(PIECES)

    def refuses(status, headers, exc_info=None):
        raise ValueError("no header of this server's")

    app = wrapped(application, rules(abort=kinds.Abort(503, after=True)), time, lint=False)
    with pytest.raises(ValueError, match="no header"):
        app(environment("/pay"), refuses)
    assert closed == [True]
    assert_nothing_is_left(app)


@pytest.mark.parametrize("by", ["kill", "client"])
def test_an_answer_that_is_being_lost_ends_with_the_kill_switch_and_with_its_client(time, by):
    given_out = []

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            for number in range(100):
                if number == 5 and by == "kill":
                    kill(app)
                given_out.append(number)
                time.advance(1)
                yield b"x"
        finally:
            given_out.append("closed")

    app = wrapped(application, rules(abort=kinds.Abort(503, after=True)), time)
    leaves_at = time() + (5.5 if by == "client" else 1000)
    answer = serve(app, environment("/pay", **{"gunicorn.socket": FakeSocket(time, leaves_at)}))
    assert (answer.status, given_out) == (503, [0, 1, 2, 3, 4, 5, "closed"])
    assert tally(app) == ({"abort": 1}, {})
    assert_nothing_is_left(app)


def test_a_connection_is_looked_at_twenty_times_a_second_while_an_answer_is_being_lost(time):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        for _ in range(100):
            time.advance(0.01)
            yield b"x"

    connection = FakeSocket(time)
    app = wrapped(application, rules(abort=kinds.Abort(503, after=True)), time)
    assert serve(app, environment("/pay", **{"gunicorn.socket": connection})).status == 503
    assert len(connection.asked) == pytest.approx(20, abs=1)


def test_a_client_that_leaves_while_the_head_is_kept_with_the_body_is_written_down_as_gone(time):
    closed = []

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        try:
            yield b"["
            for _ in range(100):
                time.advance(1)
                yield b"1,"
            yield b"1]"
        finally:
            closed.append(True)

    app = wrapped(application, rules(replace_body=kinds.ReplaceBody(merge_patch='{"a": 1}')), time)
    answer = serve(app, environment("/pay", **{"gunicorn.socket": FakeSocket(time, time() + 5.5)}))
    assert (answer.status, answer.body, closed) == (499, b"", [True])
    assert_nothing_is_left(app)


@pytest.mark.parametrize("fault", ["replace_body", "replace_status"])
def test_a_stream_whose_body_is_dropped_ends_with_its_client_and_its_head_is_not_kept_back(time, fault):
    given_out, written = [], []

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            for number in range(100):
                given_out.append((number, list(written)))
                time.advance(1)
                yield b"x"
        finally:
            given_out.append("closed")

    chosen = {"replace_body": kinds.ReplaceBody("gone"), "replace_status": kinds.ReplaceStatus(204)}[fault]
    app = wrapped(application, rules(**{fault: chosen}), time, lint=False)
    connection = FakeSocket(time, time() + 5.5)
    body = []
    with pytest.raises(InjectedDisconnect):
        body.extend(app(environment("/pay", **{"gunicorn.socket": connection}), lambda *_: written.append))
    assert body == ([b"gone"] if fault == "replace_body" else [])
    assert [number for number, _ in given_out[:-1]] == [0, 1, 2, 3, 4, 5]
    assert given_out[-1] == "closed"
    # Behind the second piece that goes nowhere a server is told to send the head, if it still has it.
    assert given_out[2][1] == ([] if fault == "replace_body" else [b""])
    assert_nothing_is_left(app)
