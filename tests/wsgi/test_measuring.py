"""What a guard knows of the answers of a WSGI service."""

from __future__ import annotations

import pytest

from tests.wsgi.server import Application, ask, environment, wrapped


def noted(middleware, *paths):
    """Ask for each path while everything is measured; what was noted."""
    ask(middleware, "/")
    middleware._injector.measure()
    for path in paths:
        ask(middleware, path)
    return [(one.is_error, one.is_injected) for one in middleware._injector.traffic.since(1000)]


def test_answers_are_noted_with_their_status_and_whether_a_fault_acted():
    middleware = wrapped(Application(), "/down 100% abort 503; /late 100% delay 1ms")
    assert noted(middleware, "/ok", "/down", "/late") == [(False, False), (True, True), (False, True)]
    assert middleware._injector.traffic.in_flight == 0


def test_an_application_that_fails_is_an_error_of_its_own():
    def failing(environ, start_response):
        if environ["PATH_INFO"] == "/fails":
            raise ZeroDivisionError
        start_response("500 Oh", [("Content-Type", "text/plain")])
        return [b""]

    middleware = wrapped(failing, "/down 100% abort 503")
    assert noted(middleware, "/oh") == [(True, False)]
    with pytest.raises(ZeroDivisionError):
        ask(middleware, "/fails")
    assert len(middleware._injector.traffic.since(1000)) == 2
    assert middleware._injector.traffic.in_flight == 0


def test_a_status_without_a_number_is_an_error_and_passes_as_it_does_when_nobody_measures():
    def odd(environ, start_response):
        start_response("Fine", [("Content-Type", "text/plain")])
        return [b"odd"]

    middleware = wrapped(odd, "/down 100% abort 503", lint=False)
    middleware(environment("/"), lambda _status, _headers: None)
    middleware._injector.measure()
    said = []
    assert middleware(environment("/ok"), lambda status, headers: said.append(status)) == [b"odd"]
    assert said == ["Fine"]
    assert [one.is_error for one in middleware._injector.traffic.since(1000)] == [True]


def test_an_answer_that_begins_late_is_noted_when_it_begins():
    def late(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"late"

    assert noted(wrapped(late, "/down 100% abort 503"), "/ok") == [(False, False)]


def test_a_guard_on_a_service_that_suffers_stops_its_faults():
    def broken(environ, start_response):
        start_response("500 Oh", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return [b""]

    middleware = wrapped(broken, "/down 100% abort 404", abort_when="error_share > 50% min 5")
    ask(middleware, "/")
    middleware._injector.tick()
    for _ in range(5):
        ask(middleware, "/ok")
    assert ask(middleware, "/down").status == 404
    middleware._injector.tick()
    assert ask(middleware, "/down").status == 500
    assert middleware._injector.switch.store.read().reason == "error_share > 50% min 5: 100%"
