"""What the WSGI middleware leaves alone, it leaves alone: objects, iterables, callables, exceptions."""

from __future__ import annotations

import io
import subprocess
import sys
import wsgiref.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware import Abort, Match, Rule
from faultware.core.engine import Engine
from faultware.core.ruleset import RuleSet
from faultware.errors import ConfigurationError, MissingExtraError, StoreError
from tests.wsgi.server import Application, ask, environment, serve, wrapped

IDLE = [{}, {"enabled": False}, {"armed": False}, {"dry_run": True}]


@pytest.mark.parametrize("options", IDLE, ids=str)
def test_a_request_that_no_rule_matches_gets_the_very_objects_of_the_server(options):
    seen = []
    app = wrapped(lambda *given: seen.append(given), "/payments 100% abort 503", lint=False, **options)
    for _ in range(3):
        environ, start_response = environment("/other"), object()
        before = dict(environ)
        app(environ, start_response)
        assert tuple(map(id, seen.pop())) == (id(environ), id(start_response))
        assert environ == before


@pytest.mark.parametrize("rule", ["/other 100% abort 503", "/ 0% abort 503", "/pay 100% delay 1s"])
def test_the_iterable_of_a_file_wrapper_is_handed_over_as_it_is(time, rule):
    handed = []

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        handed.append(environ["wsgi.file_wrapper"](io.BytesIO(b"file")))
        return handed[-1]

    app = wrapped(application, rule, time, lint=False)
    for _ in range(2):
        environ = environment("/pay", **{"wsgi.file_wrapper": wsgiref.util.FileWrapper})
        assert app(environ, lambda *_args: None) is handed[-1]


class Counted:
    """An iterable whose closing is counted."""

    def __init__(self, *chunks, fails_at=None):
        self.chunks = chunks
        self.fails_at = fails_at
        self.given = 0
        self.closed = 0

    def __iter__(self):
        for number, chunk in enumerate(self.chunks):
            if number == self.fails_at:
                raise LookupError("its own")
            self.given += 1
            yield chunk

    def close(self):
        self.closed += 1


RULES = {"nothing": "/other 100% abort 503", "delay": "/pay 100% delay 1s as r", "after": ""}


def with_rule(name, application, time, **options):
    after = Rule("r", Match("/pay"), percentage=100, abort=Abort(503, after=True))
    return wrapped(application, [after] if name == "after" else RULES[name], time, **options)


@pytest.mark.parametrize("name", RULES)
def test_close_of_the_iterable_is_called_once(time, name):
    iterable = Counted(b"a", b"b", b"c")

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iterable

    answer = ask(with_rule(name, application, time), "/pay")
    assert (iterable.given, iterable.closed) == (3, 1)
    assert answer.body == (b"fault injected\n" if name == "after" else b"abc")


@pytest.mark.parametrize("name", RULES)
def test_close_of_the_iterable_is_called_once_if_iteration_fails(time, name):
    iterable = Counted(b"a", b"b", b"c", fails_at=1)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iterable

    app = with_rule(name, application, time)
    with pytest.raises(LookupError, match="its own"):
        ask(app, "/pay")
    assert (iterable.given, iterable.closed) == (1, 1)
    assert app._injector.active_faults == 0


@pytest.mark.parametrize("name", RULES)
def test_an_iterable_without_close_is_welcome(time, name):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"a", b"b")

    assert ask(with_rule(name, application, time), "/pay").status in (200, 503)


@pytest.mark.parametrize("name", RULES)
def test_an_application_that_starts_late_is_welcome(time, name):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"late"

    answer = ask(with_rule(name, application, time), "/pay")
    expected = {"nothing": (b"late", None), "delay": (b"late", "r;delay"), "after": (b"fault injected\n", "r;abort")}
    assert (answer.body, answer.mark) == expected[name]


@pytest.mark.parametrize("name", RULES)
def test_the_write_callable_works(time, name):
    wrote = []

    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        for chunk in (b"wri", b"tten "):
            write(chunk)
            wrote.append(chunk)
        return [b"returned"]

    answer = ask(with_rule(name, application, time), "/pay")
    assert wrote == [b"wri", b"tten "]
    assert answer.body == (b"fault injected\n" if name == "after" else b"written returned")
    assert answer.written == ([] if name == "after" else [b"wri", b"tten "])


@pytest.mark.parametrize("name", RULES)
def test_exc_info_is_passed_on_and_the_mark_stands_in_the_last_head(time, name):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise LookupError("its own")
        except LookupError:
            start_response("500 Oh", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"error page"]

    answer = ask(with_rule(name, application, time), "/pay")
    if name == "after":
        assert (answer.status, answer.excused) == (503, [])
    else:
        assert (answer.status, answer.excused[0][0]) == (500, LookupError)
    assert answer.mark == {"nothing": None, "delay": "r;delay", "after": "r;abort"}[name]


def test_start_response_without_exc_info_is_called_without_it(time):
    given = []

    def application(environ, start_response):
        start_response("200 OK", [])
        return []

    app = wrapped(application, "/pay 100% delay 1s as r", time, lint=False)
    app(environment("/pay"), lambda *args: given.append(args))
    assert given == [("200 OK", [("faultware-fault", "r;delay")])]


@pytest.mark.parametrize("name", RULES)
def test_what_the_application_raises_when_called_passes(time, name):
    def application(environ, start_response):
        raise LookupError("its own")

    app = with_rule(name, application, time)
    with pytest.raises(LookupError, match="its own"):
        ask(app, "/pay")
    assert app._injector.active_faults == 0


def test_the_headers_of_the_application_stay_its_own(time):
    lines = [("Set-Cookie", "a=1"), ("Content-Type", "text/plain"), ("Set-Cookie", "b=2")]

    def application(environ, start_response):
        start_response("200 OK", lines)
        return []

    answer = ask(wrapped(application, "/pay 100% delay 1s as r", time), "/pay")
    assert answer.lines == [*lines, ("faultware-fault", "r;delay")]
    assert len(lines) == 3


class Untouchable:
    """An input that nobody may read."""

    def __getattr__(self, name):
        raise AssertionError(f"wsgi.input.{name} was asked for")


@pytest.mark.parametrize(
    "rule", ["abort 503", "delay 1s + abort 503", "hang 1s", "hang", "raise InjectedFault", "delay 1s"], ids=str
)
def test_the_body_of_a_request_is_left_unread(time, rule):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return []

    app = wrapped(application, f"/pay 100% {rule}", time)
    environ = environment("/pay", method="POST", CONTENT_LENGTH="5", **{"wsgi.input": Untouchable()})
    if "raise" in rule:
        with pytest.raises(Exception, match="injected by faultware"):
            serve(app, environ)
    else:
        assert serve(app, environ).status in (200, 503, 504)


def test_a_mistake_refuses_to_start_with_a_message_and_no_way_to_it():
    with pytest.raises(ConfigurationError, match="a share needs its sign") as raised:
        wrapped(Application(), "/pay 10 abort 503")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert [entry.name for entry in raised.traceback][-1] == "__init__"


def test_an_extra_that_is_not_installed_stops_the_start_and_is_logged_with_the_command_that_installs_it(
    monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError):
        wrapped(Application(), "/pay 100% abort 503", store="redis://127.0.0.1:6379/0")
    (message,) = caplog.messages
    assert message == "faultware is misconfigured: A store in Redis needs an extra: pip install 'faultware[redis]'"


def test_the_middleware_keeps_the_application_as_app():
    application = Application()
    assert wrapped(application, lint=False).app is application
    assert wrapped(application, lint=False, enabled=False).app is application


@pytest.mark.parametrize(
    ("rule", "owner", "name"),
    [
        ("POST /pay 100% abort 503", Engine, "decide"),
        ("/pay 100% abort 503", Engine, "roll"),
        ("/pay 100% abort 503", RuleSet, "_look_up"),
    ],
    ids=["engine", "roll", "index"],
)
def test_a_bug_of_our_own_lets_the_request_pass_and_is_counted(monkeypatch, rule, owner, name):
    application = Application()

    def bug(*_args, **_kwargs):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(owner, name, bug)
    app = wrapped(application, f"{rule}; / header:x-canary=1 100% abort 500")
    answer = ask(app, "/pay", method="POST", body=b"money")
    assert (answer.status, answer.body, answer.mark) == (200, b"application money", None)
    assert (application.runs, app._injector.active_faults) == (1, 0)
    assert dict(app._injector.internal_errors) == {"decide": 1}


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("/pay 100% reset", "faultware.wsgi.acting.reach"),
        ("/pay 100% truncate 1B", "faultware.wsgi.transport.wire_of"),
        ("/pay 100% delay 1s", "faultware.wsgi.waiting.socket_of"),
        ("/pay 100% slice 1kB", "faultware.wsgi.waiting.socket_of"),
    ],
)
def test_a_bug_in_the_search_for_a_connection_lets_the_request_pass_and_is_counted(monkeypatch, time, rule, name):
    def bug(*_args, **_kwargs):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(name, bug)
    application = Application()
    app = wrapped(application, rule, time)
    answer = ask(app, "/pay", method="POST", body=b"money", SERVER_SOFTWARE="a server")
    assert (answer.status, answer.body, application.runs) == (200, b"application money", 1)
    assert (app._injector.internal_errors, app._injector.active_faults) == ({"act": 1}, 0)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("/pay 100% throttle 1kB/s", "shape"),
        ("/pay 100% throttle 1kB/s of=request", "pacer"),
        ("/pay 100% request_headers x-a=1", "edit"),
    ],
)
def test_a_bug_in_making_what_shapes_a_request_lets_it_pass_and_is_counted(monkeypatch, time, rule, name):
    def bug(*_args, **_kwargs):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(f"faultware.wsgi.acting.{name}", bug)
    application = Application()
    app = wrapped(application, rule, time)
    answer = ask(app, "/pay", method="POST", body=b"money")
    assert (answer.status, answer.body, application.runs) == (200, b"application money", 1)
    assert (app._injector.internal_errors, app._injector.active_faults) == ({"act": 1}, 0)


def test_an_observer_that_raises_is_counted(time):
    class Grumbler:
        def notice(self, event):
            raise ZeroDivisionError("an observer's bug")

    app = wrapped(Application(), "/pay 100% delay 1s + abort 503 as r", time)
    app._injector.observers = (Grumbler(),)
    assert ask(app, "/pay").mark == "r;delay, r;abort"
    assert app._injector.internal_errors["observe"] == 2


def test_a_store_that_fails_when_the_kill_file_is_found_does_not_fail_the_request(monkeypatch, tmp_path):
    (tmp_path / "stop").touch()
    app = wrapped(Application(), "/pay 100% abort 503", kill_file=tmp_path / "stop")

    def failing(_change):
        raise StoreError("the disk is full")

    monkeypatch.setattr(app._injector.switch.store, "kill", failing)
    for _ in range(3):
        assert ask(app, "/pay").status == 200


def test_importing_the_wsgi_middleware_loads_nothing_that_it_does_not_need():
    code = (
        "import sys, faultware.wsgi\n"
        "names = 'starlette', 'anyio', 'asyncio', 'pydantic', 'pydantic_settings', 'prometheus_client', "
        "'faultware.runtime'\n"
        "print(*[name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


_pairs = st.tuples(st.text(max_size=4), st.text(max_size=4))


@given(
    status=st.text(max_size=8),
    headers=st.lists(_pairs, max_size=3),
    chunks=st.lists(st.binary(max_size=4), max_size=3),
    options=st.sampled_from(IDLE),
)
def test_idle_everything_the_application_says_passes_as_it_is(status, headers, chunks, options):
    iterable = iter(chunks)

    def application(environ, start_response):
        start_response(status, headers)
        return iterable

    app = wrapped(application, "/payments 100% delay 1s; /payments 100% abort 503", lint=False, **options)
    given = []
    assert app(environment("/payments" if options else "/other"), lambda *args: given.append(args)) is iterable
    assert given[0][0] is status
    assert given[0][1] is headers
