"""What a guard knows of the answers of an ASGI service."""

from __future__ import annotations

import contextlib

from tests.asgi.server import Application, answer, ask, wrapped


def play(time, app, *paths, rules="/down 100% abort 503; /slow 100% delay 2s", **options):
    """Ask for each path while everything is measured; what was noted."""
    middleware = wrapped(app, rules, time, **options)

    async def asking():
        await ask(middleware, "/")
        middleware._injector.measure()
        for path in paths:
            with contextlib.suppress(ZeroDivisionError):
                await ask(middleware, path)
        return middleware._injector

    injector = time.run(asking)
    return [(round(one.seconds, 3), one.is_error, one.is_injected) for one in injector.traffic.since(1000)], injector


def test_answers_are_noted_with_their_time_their_status_and_whether_a_fault_acted(time):
    noted, injector = play(time, Application(), "/ok", "/down", "/slow")
    assert noted == [(0, False, False), (0, True, True), (2, False, True)]
    assert injector.traffic.in_flight == 0


def test_an_application_that_fails_is_an_error_of_its_own(time):
    async def failing(scope, receive, send):
        if scope["path"] == "/fails":
            raise ZeroDivisionError
        await answer(send, status=500 if scope["path"] == "/500" else 200)

    noted, injector = play(time, failing, "/fails", "/500")
    assert noted == [(0, True, False), (0, True, False)]
    assert injector.traffic.in_flight == 0


def test_an_application_that_is_wrapped_twice_is_measured_once(time):
    inner = wrapped(Application(), "/down 100% abort 503", time)
    noted, _ = play(time, inner, "/ok", "/down")
    assert noted == [(0, False, False), (0, True, True)]


def test_a_guard_on_a_service_that_suffers_stops_its_faults(time):
    async def broken(scope, receive, send):
        await answer(send, status=500)

    rules = "/down 100% abort 404"
    middleware = wrapped(broken, rules, time, abort_when="error_share > 50% min 5")

    async def suffering():
        await ask(middleware, "/")
        middleware._injector.tick()
        for _ in range(5):
            await ask(middleware, "/ok")
        assert (await ask(middleware, "/down")).status == 404
        middleware._injector.tick()
        return (await ask(middleware, "/down")).status

    assert time.run(suffering) == 500
    assert middleware._injector.switch.store.read().reason == "error_share > 50% min 5: 100%"
