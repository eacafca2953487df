"""What is to be done to a request that asks for a fault on itself, and what keeps it from being done."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from faultware.control import selftest
from faultware.control.messages import ControlRequest, ControlResponse
from faultware.core.plan import Plan, mark
from faultware.core.request import Request
from faultware.runtime.servers import Server
from tests.control.kit import TOKEN, open_desk

KILL_TOKEN = "a-token-that-only-stops-things"


def ask(desk, fault, *, token=TOKEN, host="localhost", query=None, is_websocket=False):
    """Ask for a fault; the plan, or the refusal's status and words."""
    text = f"fault={quote(fault)}" if query is None else query
    headers = {"host": host, "authorization": f"Bearer {token}"}
    asked = ControlRequest("GET", "/selftest", text, headers, client="10.0.0.7")
    request = Request("GET", "/_faultware/selftest", query_string=text, client="10.0.0.7")
    found = desk.control.selftest(asked, request, is_websocket=is_websocket)
    if isinstance(found, ControlResponse):
        document = json.loads(found.body)
        return int(found.status), document["detail"]
    return found


@pytest.mark.parametrize(
    ("fault", "marks"),
    [
        ("abort 503", "selftest;abort"),
        ("reset", "selftest;reset"),
        ("delay 1s + abort 503", "selftest;delay, selftest;abort"),
        ("slice 10B + truncate 50%", "selftest;slice, selftest;truncate"),
        ("abort 503 for 5m as own-name", "selftest;abort"),
        ("rate_limit 3 per=1m", "selftest;rate_limit"),
    ],
)
def test_a_fault_in_one_line_becomes_a_plan(desk, fault, marks):
    plan = ask(desk, fault)
    assert isinstance(plan, Plan), plan
    assert mark(plan.injections) == marks


def test_a_fault_of_websockets_is_asked_for_by_a_handshake_and_any_other_is_not(desk):
    plan = ask(desk, "websocket_close 1011", is_websocket=True)
    assert mark(plan.injections) == "selftest;websocket_close"
    assert ask(desk, "websocket_close 1011")[0] == 422
    assert ask(desk, "abort 503", is_websocket=True) == (422, "this fault is for another kind of request")


def test_nothing_is_stored_and_no_rule_is_asked(desk):
    before = desk.switch.store.read()
    ask(desk, "abort 503")
    assert desk.switch.store.read() == before
    assert [live.tally.matched for live in desk.injector.live_rules()] == [0] * len(desk.injector.live_rules())


def test_the_longest_delay_bounds_it(desk):
    assert ask(desk, "delay 1h").delay_seconds == 30


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 422, "name one fault: ?fault=abort+503"),
        ("fault=reset&fault=close", 422, "name one fault: ?fault=abort+503"),
        ("fault=reset&more=1", 422, "name one fault: ?fault=abort+503"),
        ("fault=", 422, "a fault is missing"),
        ("fault=explode", 422, "unknown fault"),
        ("fault=abort+503%3B+/pay+100%25+abort+503", 422, "these are several rules"),
        ("fault=abort+503%0A/pay+100%25+abort+503", 422, "these are several rules"),
        ("fault=raise+KeyError", 422, "no exception is registered as 'KeyError'"),
    ],
)
def test_what_cannot_be_read_is_refused(desk, query, status, words):
    told = ask(desk, "", query=query)
    assert told[0] == status
    assert words in told[1]


def test_what_is_not_possible_here_is_refused_with_the_reason(desk):
    desk.switch.capabilities.server = Server("wsgi", "granian")
    status, words = ask(desk, "reset")
    assert status == 422
    assert words.startswith("reset is not possible under granian, WSGI")
    assert mark(ask(desk, "reset or abort 502").injections) == "selftest;abort"


def test_the_kill_switch_holds(desk):
    desk.switch.kill("a test")
    assert ask(desk, "abort 503") == (409, "the switch is killed: arm it first")
    desk.switch.arm("a test")
    assert isinstance(ask(desk, "abort 503"), Plan)


def test_a_kill_file_holds_before_anybody_has_obeyed_it(tmp_path):
    desk = open_desk(kill_file=tmp_path / "kill")
    desk.injector.current()
    (tmp_path / "kill").touch()
    assert ask(desk, "abort 503")[0] == 409


def test_a_dry_run_does_nothing(desk):
    desk.injector.dry_run = True
    assert ask(desk, "abort 503") == (409, "the request would pass untouched: dry_run")


def test_a_cap_on_the_share_holds():
    desk = open_desk(max_percentage=0)
    assert ask(desk, "abort 503") == (409, "the request would pass untouched: max_share")


@pytest.mark.parametrize(("token", "host", "status"), [("wrong", "localhost", 401), (TOKEN, "evil.example", 403)])
def test_only_who_may_control_may_test(desk, token, host, status):
    assert ask(desk, "abort 503", token=token, host=host)[0] == status


def test_a_token_that_only_kills_may_not_test():
    desk = open_desk(control_tokens=f"stop:kill:{KILL_TOKEN}")
    status, words = ask(desk, "abort 503", token=KILL_TOKEN)
    assert status == 403
    assert "needs a token with the role control" in words


def test_the_known_answer_comes_in_pieces_and_says_what_was_read():
    assert b"".join(selftest.pieces()) == selftest.BODY
    assert len(selftest.pieces()) == selftest.PIECES
    assert dict(selftest.head("", 7)) == {
        "content-type": "text/plain",
        "content-length": str(len(selftest.BODY)),
        selftest.READ: "7",
    }
    assert dict(selftest.head("seen", 0))[selftest.ECHO] == "seen"
    assert "content-length" not in dict(selftest.head(selftest.UNKNOWN_LENGTH, 0))


def test_its_path_is_told_from_those_beside_it(desk):
    assert desk.control.is_selftest("/_faultware/selftest")
    for path in ("/_faultware/selftests", "/_faultware/selftest/", "/_faultware", "/_faultware/x/selftest"):
        assert not desk.control.is_selftest(path)
