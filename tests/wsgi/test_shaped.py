"""Responses that are shaped on their way: every way in which an application may answer, and every way in which it ends.

Shaping itself is tested in `tests/core`; here it is what PEP 3333 asks of whoever stands between.
"""

from __future__ import annotations

import io
import warnings
import wsgiref.util

import pytest
from werkzeug.middleware.lint import WSGIWarning

from faultware.core import faults as kinds
from faultware.core.faults import Bytes
from tests.wsgi.server import ask, assert_nothing_is_left, environment, rules, serve, tally, wrapped

PIECES = [b"0123456789", b"", b"abcdefghij", b"ABCDEFGHIJ"]
BODY = b"".join(PIECES)
LENGTH = [("Content-Type", "text/plain"), ("Content-Length", "30")]
SLOW = kinds.Throttle(10)


class Closing:
    """An iterable that counts how often it is closed, and what was taken from it."""

    def __init__(self, pieces=PIECES, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.taken = 0
        self.closed = 0

    def __iter__(self):
        for piece in self.pieces:
            self.taken += 1
            yield piece
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1


def answering(iterable, status: str = "200 OK", headers=LENGTH):
    def application(environ, start_response):
        start_response(status, list(headers))
        return iterable

    return application


def by_list(environ, start_response):
    start_response("200 OK", LENGTH)
    return list(PIECES)


def by_generator(environ, start_response):
    start_response("200 OK", LENGTH)
    yield from PIECES


def by_write(environ, start_response):
    write = start_response("200 OK", LENGTH)
    for piece in PIECES:
        write(piece)
    return []


def by_both(environ, start_response):
    write = start_response("200 OK", LENGTH)
    write(PIECES[0])
    return PIECES[1:]


def by_file(environ, start_response):
    start_response("200 OK", LENGTH)
    return environ["wsgi.file_wrapper"](io.BytesIO(BODY), 7)


def by_second_thought(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/html"), ("X-First", "yes")])
    try:
        raise KeyError("no such thing")
    except KeyError:
        import sys

        start_response("200 OK", LENGTH, sys.exc_info())
    return list(PIECES)


WAYS = [by_list, by_generator, by_write, by_both, by_file, by_second_thought]


class ServersOwn:
    """What a server would send past everybody, if it got to see it."""

    def __init__(self, *_args) -> None:
        raise AssertionError("the server's own wrapper must not be used")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("faults", "body", "seconds"),
    [
        ({"throttle": SLOW}, BODY, 3.0),
        ({"slice_": kinds.Slice(4, pause_seconds=1)}, BODY, None),
        ({"replace_body": kinds.ReplaceBody("gone")}, b"gone", 0.0),
        ({"delay_response": kinds.DelayResponse(2)}, BODY, 2.0),
        ({"slow_close": kinds.SlowClose(2)}, BODY, 2.0),
        ({"stall": kinds.Stall(Bytes(15), 5)}, BODY, 5.0),
        ({"stall": kinds.Stall(Bytes(0), 5)}, BODY, 5.0),
    ],
    ids=str,
)
def test_every_way_of_answering_is_shaped_alike(time, way, faults, body, seconds):
    app = wrapped(way, rules(**faults), time)
    began = time()
    answer = ask(app, "/pay", **{"wsgi.file_wrapper": ServersOwn})
    assert (answer.status, answer.body) == (200, body)
    kind = next(iter(faults)).removesuffix("_")
    assert (answer.mark, answer.headers["content-length"]) == (f"r;{kind}", str(len(body)))
    assert tally(app) == ({kind: 1}, {})
    if seconds is not None:
        assert time() - began == pytest.approx(seconds, abs=0.2)
    assert_nothing_is_left(app)


@pytest.mark.parametrize("way", [by_list, by_generator, by_both, by_file])
def test_a_response_has_begun_when_the_server_gets_its_iterable(time, way):
    started = []
    app = wrapped(way, rules(throttle=SLOW), time, lint=False)
    environ = environment("/pay", **{"wsgi.file_wrapper": wsgiref.util.FileWrapper})
    iterable = app(environ, lambda *given: started.append(given) or (lambda _data: None))
    assert [status for status, _ in started] == ["200 OK"]
    assert b"".join(iterable)
    iterable.close()


def test_the_head_is_sent_before_a_wait_for_the_first_byte_of_the_body(time):
    written = []

    def write(data: bytes) -> None:
        written.append((data, time()))

    app = wrapped(by_list, rules(stall=kinds.Stall(Bytes(0), 5)), time, lint=False)
    began = time()
    iterable = app(environment("/pay"), lambda *_given: write)
    assert (next(iter(iterable)), written) == (PIECES[0], [(b"", began)])
    assert time() - began == pytest.approx(5.0)
    iterable.close()


@pytest.mark.parametrize(
    ("status", "kept"), [("200 OK", "200 OK"), ("200 Fine By Me", "200 Fine By Me"), ("299", "299 Injected")]
)
def test_the_reason_phrase_is_kept(time, status, kept):
    started = []
    app = wrapped(answering([b"x"], status, []), rules(throttle=SLOW), time, lint=False)
    list(app(environment("/pay"), lambda *given: started.append(given[0])))
    assert started == [kept]


def test_another_status_gets_the_customary_phrase(time):
    started = []
    app = wrapped(answering([b"x"], "200 Fine By Me", []), rules(replace_status=kinds.ReplaceStatus(503)), time)
    iterable = app(environment("/pay"), lambda *given: started.append(given[0]) or (lambda _data: None))
    list(iterable)
    iterable.close()
    assert started == ["503 Service Unavailable"]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_response_without_a_body_stays_one(time, status):
    app = wrapped(answering([], status, []), rules(throttle=SLOW, slow_close=kinds.SlowClose(1)), time)
    answer = ask(app, "/pay")
    assert (f"{answer.status}", answer.body) == (status[:3], b"")


@pytest.mark.parametrize("fault", [{"throttle": SLOW}, {"replace_body": kinds.ReplaceBody("gone")}], ids=str)
def test_an_answer_to_head_has_no_body_even_if_the_application_sends_one(time, fault):
    app = wrapped(answering(Closing()), rules(**fault), time, lint=False)
    answer = ask(app, "/pay", method="HEAD", lint=False)
    assert (answer.status, answer.body) == (200, b"")
    assert_nothing_is_left(app)


@pytest.mark.parametrize("read", [0, 1, 2, None])
def test_the_applications_iterable_is_closed_once_however_much_of_it_is_read(time, read):
    source = Closing()
    app = wrapped(answering(source), rules(throttle=SLOW), time, lint=False)
    iterable = app(environment("/pay"), lambda *_given: None)
    for number, _ in enumerate(iterable):
        if number == read:
            break
    assert source.closed == 0
    iterable.close()
    iterable.close()
    assert source.closed == 1
    assert_nothing_is_left(app)


def test_an_iterable_that_cannot_be_closed_is_not_closed(time):
    app = wrapped(answering([b"x"] * 30), rules(throttle=SLOW), time)
    assert ask(app, "/pay").body == b"x" * 30
    assert_nothing_is_left(app)


@pytest.mark.parametrize("pieces", [[], PIECES])
def test_what_the_application_raises_while_it_is_read_comes_out(time, pieces):
    source = Closing(pieces, ValueError("mine"))
    app = wrapped(answering(source), rules(throttle=SLOW), time)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WSGIWarning)
        with pytest.raises(ValueError, match="mine"):
            ask(app, "/pay")
    assert source.closed == 1
    assert_nothing_is_left(app)


def test_what_the_application_raises_when_it_is_called_comes_out_and_no_fault_acted(time):
    def application(environ, start_response):
        raise ValueError("mine")

    app = wrapped(application, rules(throttle=SLOW), time)
    with pytest.raises(ValueError, match="mine"):
        ask(app, "/pay")
    assert tally(app) == ({}, {"unanswered": 1})
    assert_nothing_is_left(app)


def test_an_application_that_begins_no_response_is_the_servers_to_complain_of(time):
    started = []
    app = wrapped(lambda _environ, _start: [b"x"], rules(throttle=SLOW), time, lint=False)
    assert list(app(environment("/pay"), lambda *given: started.append(given))) == [b"x"]
    assert (started, tally(app)) == ([], ({}, {"unanswered": 1}))


def test_a_status_that_is_none_is_passed_on_as_it_is(time):
    started = []
    app = wrapped(answering([b"x"], "fine", []), rules(throttle=SLOW), time, lint=False)
    assert list(app(environment("/pay"), lambda *given: started.append(given))) == [b"x"]
    assert (started, tally(app)) == ([("fine", [])], ({}, {"unanswered": 1}))


def test_a_second_response_is_refused_and_an_error_behind_the_head_comes_out(time):
    def twice(environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])

    with pytest.raises(AssertionError, match="start_response was called twice"):
        ask(wrapped(twice, rules(throttle=SLOW), time, lint=False), "/pay", lint=False)

    def late(environ, start_response):
        start_response("200 OK", LENGTH)
        yield b"0123456789"
        try:
            raise KeyError("too late")
        except KeyError:
            import sys

            start_response("500 Internal Server Error", [], sys.exc_info())

    app = wrapped(late, rules(throttle=SLOW), time, lint=False)
    with pytest.raises(KeyError, match="too late"):
        ask(app, "/pay", lint=False)
    assert_nothing_is_left(app)


def test_the_mark_can_be_left_out(time):
    app = wrapped(by_list, rules(throttle=SLOW), time, mark_responses=False)
    assert ask(app, "/pay").mark is None


def test_a_response_counts_as_a_fault_until_it_has_ended(time):
    counted = []

    def application(environ, start_response):
        start_response("200 OK", LENGTH)
        for piece in PIECES:
            counted.append(app._injector.active_faults)
            yield piece

    app = wrapped(application, rules(throttle=SLOW), time)
    assert serve(app, environment("/pay")).body == BODY
    assert counted == [1] * 4
    assert_nothing_is_left(app)
