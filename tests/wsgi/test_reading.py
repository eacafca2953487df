"""What faults do to the request that a WSGI application sees: its headers, and how fast it can read its body."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.core import faults as kinds
from faultware.core.shaping.pacing import Pacer
from faultware.runtime.holding import Ending
from faultware.wsgi.reading import PacedInput
from tests.wsgi.connections import connected, copies, from_server
from tests.wsgi.server import Application, ask, environment, rules, serve, tally, wrapped
from tests.wsgi.test_holding import FakeSocket

TEXT = b"".join(b"line %d\n" % number for number in range(40)) + b"no end"
# So long a piece at once takes.
STEP = 0.051


WAYS = {
    "read": lambda stream: stream.read(len(TEXT)),
    "read-pieces": lambda stream: b"".join(iter(lambda: stream.read(7), b"")),
    "read-all": lambda stream: stream.read(),
    "read-none": lambda stream: stream.read(None),
    "readline": lambda stream: b"".join(iter(stream.readline, b"")),
    "readline-sized": lambda stream: b"".join(iter(lambda: stream.readline(3), b"")),
    "readlines": lambda stream: b"".join(stream.readlines()),
    "readlines-hinted": lambda stream: b"".join(line for _ in range(40) for line in stream.readlines(30)),
    "iteration": lambda stream: b"".join(stream),
}


def reading(way):
    def application(environ, start_response):
        body = WAYS[way](environ["wsgi.input"])
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return application


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_reading_takes_as_long(time, way):
    app = wrapped(reading(way), rules(throttle=kinds.Throttle(100, of="request")), time, lint=False)
    began = time()
    answer = serve(app, environment("/pay", method="POST", body=TEXT), lint=False)
    assert (answer.body, answer.mark) == (TEXT, "r;throttle")
    assert len(TEXT) / 100 - 1e-6 <= time() - began <= len(TEXT) / 100 + STEP
    assert tally(app) == ({"throttle": 1}, {})
    assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)


@given(
    st.binary(max_size=400),
    st.lists(st.tuples(st.sampled_from(["read", "readline", "readlines"]), st.integers(-1, 60)), max_size=30),
    st.integers(1, 5000),
)
def test_what_is_read_is_what_the_server_would_have_given(body, calls, rate):
    pacer = Pacer(rate, lambda: 0.0)
    paced = PacedInput(io.BytesIO(body), pacer, lambda _seconds: Ending.OVER, lambda: 0.0)
    plain = io.BytesIO(body)
    for name, size in calls:
        assert getattr(paced, name)(size) == getattr(plain, name)(size), (name, size)
    assert list(paced) == list(plain)


def test_nobody_can_read_past_it(time):
    paced = PacedInput(io.BytesIO(TEXT), Pacer(1, time), lambda _seconds: Ending.OVER, time)
    for name in ("read1", "readinto", "getvalue", "raw", "seek"):
        assert not hasattr(paced, name)


def test_a_stream_that_gives_less_than_asked_for_is_not_asked_again(time):
    class Trickle:
        """A socket of a client that has sent a part."""

        def __init__(self) -> None:
            self.asked = []

        def read(self, size):
            self.asked.append(size)
            return b"abc"[:size]

    stream = Trickle()
    paced = PacedInput(stream, Pacer(1000, time), lambda _seconds: Ending.OVER, time)
    assert (paced.read(20), stream.asked) == (b"abc", [20])


def test_a_body_that_is_read_to_its_end_is_asked_for_until_there_is_nothing(time):
    class Pieces:
        def __init__(self) -> None:
            self.left = [b"abc", b"d", b"efg", b""]

        def read(self, size):
            return self.left.pop(0)

    assert PacedInput(Pieces(), Pacer(1000, time), lambda _seconds: Ending.OVER, time).read() == b"abcdefg"


def test_time_in_which_nobody_reads_earns_no_credit(time):
    def application(environ, start_response):
        environ["wsgi.input"].read(10)
        time.advance(60)
        environ["wsgi.input"].read(10)
        start_response("200 OK", [])
        return []

    app = wrapped(application, rules(throttle=kinds.Throttle(10, of="request")), time, lint=False)
    began = time()
    serve(app, environment("/pay", method="POST", body=TEXT), lint=False)
    assert time() - began == pytest.approx(62, abs=0.11)


@pytest.mark.parametrize("ends_by", ["kill", "departure"])
def test_reading_is_let_go_by_a_kill_and_by_a_client_that_leaves(time, ends_by):
    app = wrapped(reading("read"), rules(throttle=kinds.Throttle(10, of="request")), time, lint=False)
    began = time()
    more = {}
    if ends_by == "kill":
        time.after(3.0, lambda: (app._injector.switch.kill("a test"), app._injector.refresh()))
    else:
        more = {"gunicorn.socket": FakeSocket(time, began + 3.0)}
    answer = serve(app, environment("/pay", method="POST", body=TEXT, **more), lint=False)
    assert answer.body == TEXT
    assert 3.0 <= time() - began <= 3.11
    assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)


def test_a_request_that_is_slowed_counts_as_a_fault_until_its_response_is_closed(time):
    closed = []

    class Body(list):
        def close(self) -> None:
            closed.append(app._injector.active_faults)

    def application(environ, start_response):
        start_response("200 OK", [])
        return Body([b"x"])

    app = wrapped(application, rules(throttle=kinds.Throttle(10, of="request")), time, lint=False)
    iterable = app(environment("/pay"), lambda *_given: None)
    assert (list(iterable), app._injector.active_faults) == ([b"x"], 1)
    iterable.close()
    iterable.close()
    assert (app._injector.active_faults, len(closed)) == (0, 1)


@pytest.mark.parametrize("more", [{}, {"response_headers": kinds.ResponseHeaders(set=(("x-a", "1"),))}])
def test_a_slowed_request_is_no_fault_any_more_once_the_switch_is_killed(time, more):
    active = []

    def application(environ, start_response):
        for size in (10, -1):
            environ["wsgi.input"].read(size)
            active.append(app._injector.active_faults)
        start_response("200 OK", [])
        return [b"x"]

    app = wrapped(application, rules(throttle=kinds.Throttle(10, of="request"), **more), time)
    time.after(3.0, lambda: (app._injector.switch.kill("a test"), app._injector.refresh()))
    answer = serve(app, environment("/pay", method="POST", body=TEXT), lint=False)
    assert (answer.body, active) == (b"x", [1, 0])
    assert tally(app) == ({"throttle": 1}, {"killed": len(more)} if more else {})
    assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)


def test_nothing_is_done_to_the_answer_of_a_released_request_although_the_switch_is_armed_again(time):
    def kill_and_arm():
        app._injector.kill("a test")
        app._injector.switch.arm("a test")
        app._injector.refresh()

    faults = {"throttle": kinds.Throttle(10, of="request"), "replace_status": kinds.ReplaceStatus(503)}
    app = wrapped(Application(), rules(**faults), time)
    time.after(3.0, kill_and_arm)
    answer = ask(app, "/pay", method="POST", body=TEXT)
    assert (answer.status, answer.mark) == (200, "r;throttle")
    assert tally(app) == ({"throttle": 1}, {"killed": 1})
    assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)


def test_a_slowed_request_whose_application_fails_gives_its_place_back(time):
    def application(environ, start_response):
        raise ValueError("mine")

    app = wrapped(application, rules(throttle=kinds.Throttle(10, of="request")), time, lint=False)
    with pytest.raises(ValueError, match="mine"):
        serve(app, environment("/pay"), lint=False)
    assert app._injector.active_faults == 0


def test_a_slowed_request_gives_its_place_back_where_its_answer_fails_and_the_server_does_not_close_it(time):
    closed = []

    class Body:
        def __iter__(self):
            raise ValueError("mine")

        def close(self) -> None:
            closed.append(app._injector.active_faults)

    def application(environ, start_response):
        return Body()

    app = wrapped(application, rules(throttle=kinds.Throttle(10, of="request")), time, lint=False)
    iterable = app(environment("/pay"), lambda *_given: None)
    assert app._injector.active_faults == 1
    with pytest.raises(ValueError, match="mine"):
        list(iterable)
    iterable.close()
    assert (app._injector.active_faults, closed) == (0, [0])


def test_both_directions_can_be_slowed(time):
    faults = {"throttle": kinds.Throttle(10, of="request"), "slow_close": kinds.SlowClose(2)}
    app = wrapped(Application(), rules(**faults), time)
    began = time()
    answer = ask(app, "/pay", method="POST", body=b"0123456789")
    assert (answer.body, answer.mark) == (b"application 0123456789", "r;throttle, r;slow_close")
    assert time() - began == pytest.approx(3.0, abs=0.11)


def test_headers_are_removed_and_set_for_the_application_alone(time):
    application = Application()
    change = kinds.RequestHeaders(
        set=(("X-New", "1"), ("content-type", "text/html"), ("x-old", "new"), ("x-new", "2")),
        remove=("Authorization", "x-none"),
    )
    app = wrapped(application, rules(request_headers=change), time)
    headers = [("authorization", "secret"), ("x-old", "old"), ("content-type", "text/plain"), ("x-kept", "kept")]
    environ = environment("/pay", headers=headers)
    before = dict(environ)
    answer = serve(app, environ)
    (seen,) = application.environs
    assert "HTTP_AUTHORIZATION" not in seen
    assert [seen[key] for key in ("HTTP_X_NEW", "CONTENT_TYPE", "HTTP_X_OLD", "HTTP_X_KEPT")] == [
        "1,2",
        "text/html",
        "new",
        "kept",
    ]
    assert {key: value for key, value in environ.items() if key.startswith("HTTP_")} == {
        key: value for key, value in before.items() if key.startswith("HTTP_")
    }
    assert (answer.mark, tally(app)) == ("r;request_headers", ({"request_headers": 1}, {}))


def test_the_iterable_of_an_application_whose_request_headers_change_is_handed_over_as_it_is(time):
    body = [b"x"]

    def application(environ, start_response):
        start_response("200 OK", [])
        counted.append(app._injector.active_faults)
        return body

    counted = []
    app = wrapped(application, rules(request_headers=kinds.RequestHeaders(remove=("accept",))), time, lint=False)
    assert app(environment("/pay"), lambda *_given: None) is body
    assert counted == [0]


def test_a_connection_that_cannot_be_used_is_let_go_although_the_body_is_slowed(time):
    faults = {"throttle": kinds.Throttle(10, of="request"), "malformed_chunk": kinds.MalformedChunk()}
    app = wrapped(Application(), rules(**faults), time)
    with connected() as (_, server):
        environ = from_server("gunicorn", server, "/pay", method="POST", body=TEXT)
        environ["wsgi.url_scheme"] = "https"
        assert serve(app, environ).mark == "r;throttle"
        assert copies(server) == 1
    assert app._injector.active_faults == 0
