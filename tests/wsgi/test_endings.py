"""What ends a WSGI request in the application's place: on its connection, in the terms of gRPC, or by a fallback."""

from __future__ import annotations

import io

import flask
import httpx
import pytest
import werkzeug.test

from faultware import Abort, Match, Rule
from faultware.core import faults as kinds
from faultware.errors import InjectedDisconnect
from tests.wsgi.connections import connected, from_server, received
from tests.wsgi.server import Application, ask, assert_nothing_is_left, kill, serve, tally, wrapped

GARBAGE = kinds.Garbage(100)
HALF = kinds.PartialHead()
ENDINGS = [
    ("reset", kinds.Reset(), b"", "reset"),
    ("close", kinds.Close(), b"", "fin"),
    ("garbage", GARBAGE, GARBAGE.data, "fin"),
    ("partial_head", HALF, HALF.data, "fin"),
]
GRPC = [("content-type", "application/grpc+proto")]


def rule(kind: str, fault, **more) -> list[Rule]:
    return [Rule("r", Match("/pay"), percentage=100, **{kind: fault}, **more)]


@pytest.mark.parametrize(("kind", "fault", "data", "ending"), ENDINGS)
def test_the_connection_ends_and_the_application_does_not_run(time, kind, fault, data, ending):
    application = Application()
    app = wrapped(application, rule(kind, fault), time)
    with connected() as (client, server):
        with pytest.raises(InjectedDisconnect):
            serve(app, from_server("gunicorn", server, "/pay", body=b"money"))
        assert received(client) == (data, ending)
    assert (application.runs, tally(app)) == (0, ({kind: 1}, {}))
    assert_nothing_is_left(app)


@pytest.mark.parametrize(("kind", "fault", "data", "ending"), ENDINGS)
def test_a_server_without_a_word_for_it_is_given_an_empty_answer_that_goes_nowhere(time, kind, fault, data, ending):
    app = wrapped(Application(), rule(kind, fault), time)
    with connected() as (client, server):
        answer = serve(app, from_server("waitress", server, "/pay"))
        assert (answer.status, answer.lines, answer.body) == (200, [("Content-Length", "0")], b"")
        assert received(client) == (data, ending)


@pytest.mark.parametrize(("kind", "fault", "data", "ending"), ENDINGS)
def test_a_client_in_this_process_meets_an_exception(time, kind, fault, data, ending):
    application = Application()
    app = wrapped(application, rule(kind, fault), time)
    with pytest.raises(InjectedDisconnect, match="connection ended by faultware"):
        ask(app, "/pay")
    assert (application.runs, tally(app)) == (0, ({kind: 1}, {}))
    assert_nothing_is_left(app)


@pytest.mark.parametrize(("kind", "fault", "data", "ending"), ENDINGS)
def test_what_is_not_possible_for_a_request_lets_it_pass_and_is_counted(time, kind, fault, data, ending):
    application = Application()
    app = wrapped(application, rule(kind, fault), time)
    with connected() as (client, server):
        answer = serve(app, from_server("gunicorn", server, "/pay", HTTP_X_FORWARDED_FOR="192.0.2.1"))
        assert received(client, is_over=False) == (b"", "open")
    assert (answer.status, answer.mark, application.runs) == (200, None, 1)
    assert tally(app) == ({}, {"impossible": 1})
    assert_nothing_is_left(app)


@pytest.mark.parametrize(
    ("kind", "fault"), [(kind, fault) for kind, fault, _, _ in ENDINGS] + [("truncate", kinds.Truncate(kinds.Bytes(1)))]
)
def test_a_fallback_acts_in_the_place_of_what_is_not_possible(time, kind, fault):
    application = Application()
    app = wrapped(application, rule(kind, fault, fallback=Abort(502), delay=kinds.Delay(1)), time)
    with connected() as (client, server):
        answer = serve(app, from_server("gunicorn", server, "/pay", HTTP_X_FORWARDED_FOR="192.0.2.1"))
        assert received(client, is_over=False) == (b"", "open")
    assert (answer.status, answer.mark, answer.body) == (502, "r;delay, r;abort", b"fault injected\n")
    assert (application.runs, tally(app)) == (0, ({"delay": 1, "abort": 1}, {"impossible": 1}))
    assert_nothing_is_left(app)


def test_what_else_a_rule_does_to_a_response_is_done_where_one_fault_is_not_possible(time):
    faults = {
        "truncate": kinds.Truncate(kinds.Bytes(1)),
        "response_headers": kinds.ResponseHeaders(set=(("x-a", "1"),)),
    }
    app = wrapped(Application(), [Rule("r", Match("/pay"), percentage=100, **faults)], time)
    with connected() as (_, server):
        answer = serve(app, from_server("gunicorn", server, "/pay", HTTP_VIA="1.1 proxy"))
    assert (answer.body, answer.headers["x-a"], answer.mark) == (b"application ", "1", "r;response_headers")
    assert tally(app) == ({"response_headers": 1}, {"impossible": 1})


def test_a_connection_that_ends_while_it_is_delayed_is_looked_for_only_after_the_delay(time):
    app = wrapped(Application(), rule("reset", kinds.Reset(), delay=kinds.Delay(5)), time)
    with connected() as (client, server):
        time.after(4.0, lambda: server.close())
        answer = serve(app, from_server("unknown", server, "/pay"))
        assert received(client) == (b"", "fin")
    assert (answer.status, tally(app)) == (200, ({"delay": 1}, {"impossible": 1}))


def test_a_connection_that_cannot_be_ended_is_counted_as_a_failure_of_our_own(time, monkeypatch):
    def broken(_self):
        raise OSError(22, "invalid argument")

    monkeypatch.setattr("faultware.runtime.wire.Wire.reset", broken)
    app = wrapped(Application(), rule("reset", kinds.Reset()), time)
    with connected() as (_, server), pytest.raises(InjectedDisconnect):
        serve(app, from_server("gunicorn", server, "/pay"))
    assert app._injector.internal_errors == {"act": 1}


def test_garbage_has_reached_the_client_before_the_connection_ends(time, monkeypatch):
    asked = []
    monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _self: asked.append(time()) or 0)
    app = wrapped(Application(), rule("garbage", GARBAGE), time)
    with connected() as (client, server):
        with pytest.raises(InjectedDisconnect):
            serve(app, from_server("gunicorn", server, "/pay"))
        assert received(client) == (GARBAGE.data, "fin")
    assert len(asked) == 1 + 2  # once for what came before it


@pytest.mark.parametrize("fault", [kinds.Reset(), kinds.Close(), GARBAGE], ids=str)
def test_an_earlier_answer_on_the_connection_goes_out_before_its_end(time, monkeypatch, fault):
    monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _self: 700 if time() < began + 1 else 0)
    app = wrapped(Application(), rule(fault.kind, fault), time)
    began = time()
    with connected() as (client, server):
        with pytest.raises(InjectedDisconnect):
            serve(app, from_server("gunicorn", server, "/pay"))
        assert received(client)[0] in (b"", GARBAGE.data)
    assert time() - began == pytest.approx(1.0, abs=0.1)
    assert_nothing_is_left(app)


def test_a_kill_before_an_earlier_answer_is_out_lets_the_request_go_on(time, monkeypatch):
    monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _self: 700)
    application = Application()
    app = wrapped(application, rule("reset", kinds.Reset()), time)

    time.after(1.0, lambda: kill(app))
    with connected() as (_, server):
        assert serve(app, from_server("gunicorn", server, "/pay")).status == 200
    assert_nothing_is_left(app)


def test_garbage_for_a_client_that_does_not_read_ends_with_the_kill(time, monkeypatch):
    monkeypatch.setattr("faultware.runtime.wire.Wire.write", lambda _self, _data: 0)
    app = wrapped(Application(), rule("garbage", GARBAGE), time)

    began = time()
    time.after(1.0, lambda: kill(app))
    with connected() as (client, server):
        with pytest.raises(InjectedDisconnect):
            serve(app, from_server("gunicorn", server, "/pay"))
        assert received(client) == (b"", "fin")
    assert time() - began == pytest.approx(1.0, abs=0.01)
    assert_nothing_is_left(app)


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        (Abort(503), "14", "fault injected"),
        (Abort(404, body="no such thing"), "12", "no such thing"),
        (Abort(grpc_status=8), "8", "fault injected"),
        (Abort(503, body="täglich 100%"), "14", "t%C3%A4glich 100%25"),
    ],
)
def test_a_request_of_grpc_is_answered_in_its_own_terms(time, fault, status, message):
    app = wrapped(Application(), rule("abort", fault), time)
    answer = ask(app, "/pay", method="POST", headers=GRPC)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == {
        "content-type": "application/grpc+proto",
        "grpc-status": status,
        "grpc-message": message,
        "content-length": "0",
        "faultware-fault": "r;abort",
    }


def test_an_abort_with_a_status_of_grpc_answers_others_with_http(time):
    app = wrapped(Application(), rule("abort", Abort(503, grpc_status=8)), time)
    answer = ask(app, "/pay")
    assert (answer.status, answer.headers.get("grpc-status"), answer.body) == (503, None, b"fault injected\n")


def test_a_hang_that_nobody_ends_and_a_limit_are_told_in_terms_of_grpc_too(time):
    app = wrapped(Application(), rule("hang", kinds.Hang(1)), time)
    assert ask(app, "/pay", headers=GRPC).headers["grpc-status"] == "14"
    app = wrapped(Application(), rule("rate_limit", kinds.RateLimit(1, 60)), time)
    assert ask(app, "/pay", headers=GRPC).body == b"application "
    answer = ask(app, "/pay", headers=GRPC)
    assert (answer.status, answer.headers["grpc-status"], answer.headers["retry-after"]) == (200, "14", "60")


def test_an_abort_with_a_content_type_of_its_own_has_that_of_grpc_for_grpc(time):
    fault = Abort(503, body={}, headers={"Content-Type": "application/problem+json", "x-a": "1"})
    answer = ask(wrapped(Application(), rule("abort", fault), time), "/pay", headers=GRPC)
    assert (answer.headers["content-type"], answer.headers["x-a"]) == ("application/grpc+proto", "1")


def test_an_abort_behind_the_application_loses_its_answer_for_grpc_too(time):
    application = Application()
    app = wrapped(application, rule("abort", Abort(503, after=True)), time)
    assert ask(app, "/pay", headers=GRPC).headers["grpc-status"] == "14"
    assert application.runs == 1


def test_a_budget_that_is_used_up_answers_with_429_until_there_is_some_again(time):
    application = Application()
    app = wrapped(application, rule("rate_limit", kinds.RateLimit(2, 60)), time)
    assert [ask(app, "/pay").status for _ in range(3)] == [200, 200, 429]
    assert ask(app, "/pay", client="192.0.2.1").status == 200
    answer = ask(app, "/pay")
    assert answer.headers == {
        "content-type": "text/plain; charset=utf-8",
        "content-length": "15",
        "retry-after": "30",
        "ratelimit-limit": "2",
        "ratelimit-remaining": "0",
        "ratelimit-reset": "30",
        "faultware-fault": "r;rate_limit",
    }
    time.advance(30)
    assert [ask(app, "/pay").status for _ in range(2)] == [200, 429]
    assert application.runs == 4


def test_an_abort_reads_a_chunked_body_that_cheroot_would_take_for_the_next_request(time):
    stream = io.BytesIO(b"money")
    app = wrapped(Application(), rule("abort", Abort(503)), time)
    more = {"wsgi.input": stream, "HTTP_TRANSFER_ENCODING": "chunked", "SERVER_SOFTWARE": "Cheroot/11.1.2 Server"}
    assert ask(app, "/pay", lint=False, **more).status == 503
    assert stream.read() == b""


def by_werkzeug(app):
    return werkzeug.test.Client(app).get("/pay").data


def by_flask(app):
    service = flask.Flask("service")
    service.wsgi_app = app
    return service.test_client().get("/pay").data


def by_httpx(app):
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://service") as client:
        return client.get("/pay").content


@pytest.mark.parametrize("client", [by_werkzeug, by_flask, by_httpx])
@pytest.mark.parametrize(
    ("kind", "fault"),
    [("reset", kinds.Reset()), ("close", kinds.Close()), ("truncate", kinds.Truncate(kinds.Bytes(3)))],
)
def test_clients_that_tests_use_meet_the_exception(client, kind, fault):
    app = wrapped(Application(), rule(kind, fault), lint=False)
    with pytest.raises(InjectedDisconnect):
        client(app)
    assert tally(app) == ({kind: 1}, {})
    app = wrapped(Application(), rule("replace_body", kinds.ReplaceBody("gone")), lint=False)
    assert client(app) == b"gone"


@pytest.mark.parametrize("acts", [True, False])
def test_the_process_is_harmed_behind_the_delay_and_only_what_was_done_is_marked(time, monkeypatch, acts):
    harmed = []

    def act(_self, injection, _request):
        harmed.append((injection.kind, time()))
        return acts

    monkeypatch.setattr("faultware.runtime.injector.Injector.act", act)
    rules = rule("block", kinds.Block(5), delay=kinds.Delay(2), abort=Abort(503))
    app = wrapped(Application(), rules, time, allow_instance_faults=True)
    began = time()
    assert ask(app, "/pay").mark == ("r;delay, r;block, r;abort" if acts else "r;delay, r;abort")
    assert harmed == [("block", began + 2.0)]


def test_the_process_is_not_harmed_once_the_switch_is_killed(time, monkeypatch):
    monkeypatch.setattr("faultware.runtime.injector.Injector.act", None)
    rules = rule("block", kinds.Block(5), delay=kinds.Delay(2), abort=Abort(503))
    app = wrapped(Application(), rules, time, allow_instance_faults=True)
    time.after(1.0, lambda: (app._injector.switch.kill("a test"), app._injector.refresh()))
    assert ask(app, "/pay").mark == "r;delay"
    assert tally(app) == ({"delay": 1}, {"killed": 2})


@pytest.mark.parametrize("is_armed_again", [False, True])
@pytest.mark.parametrize(
    "rest", [{"abort": Abort(503)}, {"replace_status": kinds.ReplaceStatus(503)}, {"hang": kinds.Hang(9)}]
)
def test_what_stands_behind_a_block_is_off_if_the_switch_is_killed_in_the_middle_of_it(
    time, monkeypatch, rest, is_armed_again
):
    def act(injector, injection, request):
        injector.injected(injection, request)
        injector.kill("a test")
        if is_armed_again:
            injector.switch.arm("a test")
            injector.refresh()
        return True

    monkeypatch.setattr("faultware.runtime.injector.Injector.act", act)
    app = wrapped(Application(), rule("block", kinds.Block(5), **rest), time, allow_instance_faults=True)
    assert ask(app, "/pay").mark == "r;block"
    assert tally(app) == ({"block": 1}, {"killed": 1})


def test_what_stands_behind_a_block_is_off_if_a_kill_file_ends_it_before_it_is_known(time, monkeypatch):
    def act(injector, injection, request):
        injector.injected(injection, request)
        # A block looks for it more often than the thread does that makes it known.
        monkeypatch.setattr("faultware.runtime.switch.Switch.kill_file_exists", lambda _: True)
        return True

    monkeypatch.setattr("faultware.runtime.injector.Injector.act", act)
    app = wrapped(Application(), rule("block", kinds.Block(5), abort=Abort(503)), time, allow_instance_faults=True)
    assert ask(app, "/pay").mark == "r;block"
    assert tally(app) == ({"block": 1}, {"killed": 1})


def test_an_abort_behind_an_application_that_fails_does_not_come_about(time):
    def broken(environ, start_response):
        raise LookupError("its own")

    app = wrapped(broken, rule("abort", Abort(503, after=True), delay=kinds.Delay(1)), time)
    with pytest.raises(LookupError, match="its own"):
        ask(app, "/pay")
    assert tally(app) == ({"delay": 1}, {"unanswered": 1})
    assert_nothing_is_left(app)
