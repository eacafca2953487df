"""Responses that are cut on their way through the WSGI middleware, or written past the server."""

from __future__ import annotations

import pytest
import waitress.channel

from faultware.core import faults as kinds
from faultware.core.faults import Bytes
from faultware.errors import InjectedDisconnect
from tests.wsgi.connections import connected, copies, from_server, received
from tests.wsgi.server import environment, wrapped
from tests.wsgi.test_shaped import (
    BODY,
    LENGTH,
    PIECES,
    WAYS,
    Closing,
    ServersOwn,
    answering,
    assert_nothing_is_left,
    by_generator,
    by_list,
    rules,
    tally,
)


def cut(app, environ):
    """What a server gets to see of a response that is cut, and what it is raised."""
    started, written, pieces = [], [], []
    iterable = ()
    try:
        iterable = app(environ, lambda *given: started.append(given) or written.append)
        pieces.extend(iterable)
    except (InjectedDisconnect, waitress.channel.ClientDisconnected) as error:
        return started, written, pieces, error
    finally:
        if hasattr(iterable, "close"):
            iterable.close()
    return started, written, pieces, None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["fin", "reset"])
def test_every_way_of_answering_can_be_cut(time, way, by):
    app = wrapped(way, rules(truncate=kinds.Truncate(Bytes(13), by=by)), time, lint=False)
    with connected() as (client, server):
        environ = from_server("gunicorn", server, "/pay", **{"wsgi.file_wrapper": ServersOwn})
        started, written, pieces, error = cut(app, environ)
        assert received(client) == (b"", by)
    assert type(error) is InjectedDisconnect
    assert [status for status, _ in started] == ["200 OK"]
    assert b"".join([*written, *pieces]) == BODY[:13]
    assert tally(app) == ({"truncate": 1}, {})
    assert_nothing_is_left(app)


@pytest.mark.parametrize(
    ("kind", "raised"),
    [("gunicorn", InjectedDisconnect), ("waitress", waitress.channel.ClientDisconnected), ("unknown", None)],
)
def test_a_server_is_told_of_a_cut_in_its_own_words_and_the_application_is_closed(time, kind, raised):
    source = Closing()
    app = wrapped(answering(source), rules(truncate=kinds.Truncate(Bytes(13))), time, lint=False)
    with connected() as (_, server):
        *_, pieces, error = cut(app, from_server(kind, server, "/pay"))
    assert (b"".join(pieces), error and type(error)) == (BODY[:13], raised)
    assert (source.closed, source.taken) == (1, 3)
    assert_nothing_is_left(app)


@pytest.mark.parametrize("cuts", [False, True])
def test_a_server_that_closes_nothing_behind_an_exception_leaves_nothing_behind(time, cuts):
    source = Closing(error=None if cuts else ValueError("mine"))
    app = wrapped(answering(source), rules(truncate=kinds.Truncate(Bytes(13 if cuts else 1000))), time, lint=False)
    with connected() as (_, server):
        iterable = app(from_server("cheroot", server, "/pay"), lambda *_given: None)
        with pytest.raises((InjectedDisconnect, ValueError)):
            list(iterable)
        assert source.closed == cuts
        assert_nothing_is_left(app)


def test_a_cut_before_the_body_sends_the_head_first(time):
    app = wrapped(by_list, rules(truncate=kinds.Truncate(Bytes(0))), time, lint=False)
    with connected() as (_, server):
        started, written, pieces, error = cut(app, from_server("gunicorn", server, "/pay"))
    assert (started[0][0], written, pieces) == ("200 OK", [b""], [])
    assert error is not None


def test_a_body_that_ends_before_the_cut_passes_whole(time):
    app = wrapped(by_list, rules(truncate=kinds.Truncate(Bytes(1000))), time, lint=False)
    with connected() as (client, server):
        _, _, pieces, error = cut(app, from_server("gunicorn", server, "/pay"))
        assert copies(server) == 1
        assert received(client, is_over=False) == (b"", "open")
    assert (b"".join(pieces), error) == (BODY, None)


def test_a_client_in_this_process_meets_the_cut_as_an_exception(time):
    app = wrapped(by_list, rules(truncate=kinds.Truncate(Bytes(13))), time, lint=False)
    _, _, pieces, error = cut(app, environment("/pay"))
    assert (b"".join(pieces), type(error)) == (BODY[:13], InjectedDisconnect)


@pytest.mark.parametrize("minds", [False, True])
@pytest.mark.parametrize(("kind", "raised"), [("gunicorn", True), ("unknown", False)])
def test_an_application_that_writes_is_told_of_the_cut_and_may_not_mind(time, minds, kind, raised):
    source = Closing([b"never", b"seen"])

    def application(environ, start_response):
        write = start_response("200 OK", LENGTH)
        try:
            for piece in PIECES:
                write(piece)
        except ConnectionResetError:
            if minds:
                raise
        return source

    app = wrapped(application, rules(truncate=kinds.Truncate(Bytes(13))), time, lint=False)
    with connected() as (client, server):
        _, written, pieces, error = cut(app, from_server(kind, server, "/pay"))
        assert received(client) == (b"", "fin")
    assert (b"".join(written), pieces, error is not None) == (BODY[:13], [], raised)
    assert source.closed == (0 if minds and raised else 1)
    assert_nothing_is_left(app)


def test_a_response_past_the_server_is_written_to_the_connection_and_the_server_hears_of_none(time):
    app = wrapped(by_generator, rules(content_length=kinds.ContentLength(5)), time, lint=False)
    with connected() as (client, server):
        started, _, pieces, error = cut(app, from_server("gunicorn", server, "/pay"))
        data, ending = received(client)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nfaultware-fault: r;content_length\r\n" in head
    assert b"\r\ncontent-length: 35\r\n" in head
    assert (body, ending) == (BODY, "fin")
    assert (started, pieces, type(error)) == ([], [], InjectedDisconnect)
    assert_nothing_is_left(app)


def test_a_server_without_a_word_for_it_is_given_nothing_beside_a_response_past_it(time):
    app = wrapped(by_generator, rules(malformed_chunk=kinds.MalformedChunk(4)), time, lint=False)
    with connected() as (client, server):
        started, _, pieces, error = cut(app, from_server("waitress", server, "/pay"))
        data, ending = received(client)
    assert data.endswith(b"\r\n\r\n4\r\n0123\r\nzz\r\n")
    assert (started, pieces, error) == ([("200 OK", [("Content-Length", "0")])], [], None)
    assert ending == "fin"
