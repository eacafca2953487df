"""Misconfigured services refuse to start; bugs of faultware's own let requests pass and are counted."""

from __future__ import annotations

import subprocess
import sys

import anyio
import pytest

from faultware.core.engine import Engine
from faultware.core.ruleset import RuleSet
from faultware.core.shaping.effects import Raw
from faultware.errors import InjectedDisconnect, SettingsError, StoreError
from faultware.telemetry.events import FaultInjected
from tests.asgi.server import Application, Exchange, ask, http_scope, wrapped
from tests.failing import Failing


async def exchanged(app, scope, first):
    """What an application answers to the first message of a scope."""
    received, sent = [], []

    async def receive():
        received.append(first)
        return first

    async def send(message):
        assert received, "the server has not said yet what it wants"
        sent.append(message)

    await app(scope, receive, send)
    return sent


def test_a_mistake_fails_the_start_up_with_a_message_that_names_it(time):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 10 abort 503", time)
        (message,) = await exchanged(app, {"type": "lifespan"}, {"type": "lifespan.startup"})
        assert message["type"] == "lifespan.startup.failed"
        assert message["message"].startswith("faultware is misconfigured: rules=: a share needs its sign")
        assert "Traceback" not in message["message"]
        assert application.runs == 0

    time.run(main)


def test_an_extra_that_is_not_installed_fails_the_start_up_with_the_command_that_installs_it(time, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)

    async def main():
        app = wrapped(Application(), "/pay 10% abort 503", time, store="redis://127.0.0.1:6379/0")
        (message,) = await exchanged(app, {"type": "lifespan"}, {"type": "lifespan.startup"})
        assert message == {
            "type": "lifespan.startup.failed",
            "message": "faultware is misconfigured: A store in Redis needs an extra: pip install 'faultware[redis]'",
        }

    time.run(main)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_mistake_answers_500_to_everything_under_a_server_without_lifespan(time, method):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 10 abort 503", time)
        exchange = await ask(app, "/other", b"money", method=method)
        assert exchange.status == 500
        assert b"abort" not in exchange.body  # the reason is the operator's, not the client's
        assert application.runs == 0

    time.run(main)


def test_a_mistake_closes_websockets(time):
    async def main():
        app = wrapped(Application(), "/pay 10 abort 503", time)
        scope = {**http_scope("/"), "type": "websocket"}
        assert await exchanged(app, scope, {"type": "websocket.connect"}) == [{"type": "websocket.close", "code": 1011}]

    time.run(main)


def test_a_mistake_in_a_service_that_is_not_enabled_does_no_harm(time):
    async def main():
        app = wrapped(Application(), "/pay 10 abort 503", time, enabled=False)
        assert (await ask(app, "/pay")).body == b"application "

    time.run(main)


@pytest.mark.parametrize(
    ("rule", "owner", "name"),
    [
        ("POST /pay 100% abort 503", Engine, "decide"),
        ("/pay 100% abort 503", Engine, "roll"),
        ("/pay 100% abort 503", RuleSet, "_look_up"),
    ],
    ids=["engine", "roll", "index"],
)
def test_a_bug_of_our_own_lets_the_request_pass_and_is_counted(time, monkeypatch, rule, owner, name):
    async def main():
        application = Application()

        def bug(*_args, **_kwargs):
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(owner, name, bug)
        app = wrapped(application, f"{rule}; / header:x-canary=1 100% abort 500", time)
        exchange = await ask(app, "/pay", b"money", method="POST")
        assert (exchange.status, exchange.body, exchange.mark) == (200, b"application money", None)
        assert application.runs == 1
        assert dict(app._injector.internal_errors) == {"decide": 1}
        assert app._injector.active_faults == 0

    time.run(main)


@pytest.mark.parametrize(
    ("rule", "version", "name"),
    [
        ("/pay 100% reset", "1.1", "faultware.asgi.finding.find"),
        ("/pay 100% truncate 1B", "1.1", "faultware.asgi.finding.is_proxied"),
        ("/pay 100% slice 1B", "2", "faultware.asgi.acting.relieve"),
    ],
)
def test_a_bug_in_the_search_for_a_connection_lets_the_request_pass_and_is_counted(
    time, monkeypatch, rule, version, name
):
    def bug(*_args, **_kwargs):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(name, bug)

    async def main():
        application = Application()
        app = wrapped(application, rule, time)
        exchange = Exchange(b"money", method="POST")
        scope = {**http_scope("/pay", method="POST"), "http_version": version}
        await app(scope, exchange.receive, exchange.send)
        assert (exchange.status, exchange.body, application.runs) == (200, b"application money", 1)
        assert (app._injector.internal_errors, app._injector.active_faults) == ({"act": 1}, 0)

    time.run(main)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("/pay 100% throttle 1kB/s", "shape"),
        ("/pay 100% throttle 1kB/s of=request", "pacer"),
        ("/pay 100% request_headers x-a=1", "edited"),
    ],
)
def test_a_bug_in_making_what_shapes_a_request_lets_it_pass_and_is_counted(time, monkeypatch, rule, name):
    def bug(*_args, **_kwargs):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(f"faultware.asgi.acting.{name}", bug)

    async def main():
        application = Application()
        app = wrapped(application, rule, time)
        exchange = await ask(app, "/pay", b"money", method="POST")
        assert (exchange.status, exchange.body, application.runs) == (200, b"application money", 1)
        assert (app._injector.internal_errors, app._injector.active_faults) == ({"act": 1}, 0)

    time.run(main)


async def in_pieces(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one ", b"two ", b"three"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("at", range(6))
def test_a_failure_in_what_shapes_a_response_is_counted_and_the_response_passes(time, monkeypatch, at, again):
    monkeypatch.setattr("faultware.asgi.acting.shape", lambda *given: Failing(at, given[-1], again=again))

    async def main():
        app = wrapped(in_pieces, "/pay 100% throttle 1B/s as r", time)
        exchange = await ask(app, "/pay")
        pieces = [b"one ", b"two ", b"three"]
        if 1 <= at <= 3:
            del pieces[at - 1]  # what it was fed is lost with it
        assert (exchange.status, exchange.body, exchange.mark) == (200, b"".join(pieces), "r;throttle")
        assert app._injector.internal_errors == {"act": 1 + again}
        assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)

    time.run(main)


def test_a_failure_behind_a_head_that_was_written_past_the_server_ends_the_connection(time, monkeypatch):
    raw = [Raw(b"HTTP/1.1 200 OK\r\n")]
    monkeypatch.setattr("faultware.asgi.acting.shape", lambda *given: Failing(1, given[-1], first=raw))

    async def main():
        app = wrapped(in_pieces, "/pay 100% malformed_chunk as r", time)
        with pytest.raises(InjectedDisconnect):
            await ask(app, "/pay", client="testclient")
        assert (app._injector.internal_errors, app._injector.active_faults) == ({"act": 1}, 0)

    time.run(main)


class Grumbler:
    """An observer that fails."""

    def __init__(self) -> None:
        self.heard = []

    def notice(self, event) -> None:
        self.heard.append(event)
        raise ZeroDivisionError("an observer's bug")


def test_an_observer_that_raises_is_counted_and_the_others_still_hear(time):
    async def main():
        app = wrapped(Application(), "/pay 100% delay 1s + abort 503 as r", time)
        first, last = Grumbler(), Grumbler()
        app._injector.observers = (first, *app._injector.observers, last)
        exchange = await ask(app, "/pay")
        assert (exchange.status, exchange.mark) == (503, "r;delay, r;abort")
        assert [event.fault for event in last.heard] == ["delay", "abort"]
        assert all(isinstance(event, FaultInjected) for event in first.heard)
        assert app._injector.internal_errors["observe"] == 4

    time.run(main)


def test_metrics_that_fail_do_not_stop_a_fault(time, monkeypatch):
    async def main():
        app = wrapped(Application(), "/pay 100% delay 1s as r", time)

        def bug(*_args):
            raise OSError("the disk is full")

        monkeypatch.setattr(app._injector.metrics, "observe_delay", bug)
        assert (await ask(app, "/pay")).mark == "r;delay"
        assert app._injector.internal_errors["observe"] == 1

    time.run(main)


def test_a_store_that_fails_when_the_kill_file_is_found_does_not_fail_the_request(time, monkeypatch, tmp_path):
    kill_file = tmp_path / "stop"
    kill_file.touch()

    async def main():
        app = wrapped(Application(), "/pay 100% abort 503", time, kill_file=kill_file)
        store = app._injector.switch.store

        def failing(_change):
            store.signal[0] |= 1
            raise StoreError("the disk is full")

        monkeypatch.setattr(store, "kill", failing)
        for _ in range(3):
            assert (await ask(app, "/pay")).status == 200

    time.run(main)


def test_a_process_that_can_start_no_more_threads_serves_all_the_same(time, monkeypatch):
    async def main():
        app = wrapped(Application(), "/pay 100% abort 503", time)

        def refused(_owner):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr("faultware.runtime.injector.Refresher", refused)
        for path in ("/other", "/pay", "/other"):
            assert (await ask(app, path)).status == 200
        assert app._injector.internal_errors["refresh"]

    time.run(main)


def test_an_exception_factory_that_makes_nonsense_ends_the_request_with_an_error_that_says_so(time):
    async def main():
        app = wrapped(Application(), "/pay 100% raise odd", time, exceptions={"odd": lambda: 7})
        exchange = Exchange()
        with pytest.raises(SettingsError, match="is no exception that a request can raise"):
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert app._injector.active_faults == 0

    time.run(main)


def test_importing_the_asgi_middleware_loads_nothing_that_it_does_not_need():
    code = (
        "import sys, faultware.asgi\n"
        "names = 'werkzeug', 'pydantic', 'pydantic_settings', 'prometheus_client', 'trio', 'yaml', 'faultware.wsgi', "
        "'faultware.runtime'\n"
        "print(*[name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_wrapping_starts_no_thread_before_the_first_request(time):
    async def main():
        app = wrapped(Application(), "/pay 100% abort 503", time)
        assert app._injector._refresher is None
        await ask(app, "/other")
        assert app._injector._refresher is not None
        await anyio.sleep(0)

    time.run(main)
