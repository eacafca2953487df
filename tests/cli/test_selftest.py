"""The self-test from the command line, on a service behind a server that nobody knows and that hands out no socket."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from faultware.cli import trying
from faultware.cli.trials import HTTP, LEFT_OUT, WEBSOCKETS
from faultware.cli.watching import Seen, read_response
from faultware.config.oneline import parse_rules
from faultware.runtime.capabilities import FORMS

NATIVE = ("abort", "replace_body", "response_headers")


@pytest.fixture
def trials(monkeypatch):
    """Lets only some of the trials be done."""

    def only(*faults, conversations=()):
        monkeypatch.setattr(trying, "HTTP", tuple(trial for trial in HTTP if trial.fault in faults))
        monkeypatch.setattr(trying, "WEBSOCKETS", tuple(one for one in WEBSOCKETS if one.fault in conversations))

    return only


def rows(result):
    """Verdicts by fault, of what was printed."""
    lines = [line.split() for line in result.out.splitlines()[2:-1]]
    return {words[1]: words[0] for words in lines}


def test_every_fault_and_every_form_of_it_is_tried_or_left_out_for_a_reason():
    tried = {trial.fault for trial in (*HTTP, *WEBSOCKETS)}
    assert tried | set(LEFT_OUT) == {name for name, _ in FORMS}
    assert not tried & set(LEFT_OUT)
    for trial in (*HTTP, *WEBSOCKETS):
        (rule,) = parse_rules(f"/ 100% {trial.line}")
        assert [fault.kind for fault in rule.faults] == [trial.fault.split()[0]]


def test_faults_that_look_as_promised_end_with_0(ask, trials):
    trials(*NATIVE)
    result = ask("selftest")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == "an unknown server WSGI"
    assert {fault: rows(result)[fault] for fault in NATIVE} == dict.fromkeys(NATIVE, "ok")
    assert result.out.splitlines()[-1] == "3 ok, 3 untried"


def test_a_fault_that_looks_different_ends_with_1_and_says_what_was_seen(ask, trials):
    trials("abort", "reset")
    result = ask("selftest")
    assert result.code == 1
    assert rows(result)["reset"] == "wrong"
    assert "RST, 0 bytes" in result.out
    assert "200, 4096 body bytes" in result.out


def test_what_is_refused_as_it_was_announced_is_right(ask, trials):
    trials("abort", conversations=("websocket_refuse", "websocket_messages"))
    told = json.loads(ask("selftest", "--json").out)
    assert told["counts"] == {"ok": 1, "refused": 2, "untried": 3}
    assert {one["fault"]: one["verdict"] for one in told["trials"]}["websocket_refuse"] == "refused"
    assert told["server"]["protocol"] == "wsgi"


def test_what_harms_the_process_is_refused_where_that_is_not_allowed(ask, trials):
    trials("block", "cpu")
    result = ask("selftest", "--instance-faults")
    assert result.code == 0
    assert rows(result)["block"] == rows(result)["cpu"] == "refused"


def test_what_harms_the_process_is_left_out_unless_it_is_asked_for(ask, trials, shop):
    capabilities = shop.middleware._injector.switch.capabilities
    capabilities._allow_instance_faults = True
    trials("block")
    assert rows(ask("selftest"))["block"] == "untried"
    assert rows(ask("selftest", "--instance-faults"))["block"] == "ok"


def test_a_service_that_is_killed_fails_its_self_test_and_says_why(ask, trials):
    trials("abort")
    ask("kill")
    result = ask("selftest")
    assert result.code == 1
    assert "the switch is killed: arm it first" in result.out


def test_a_wrong_token_tries_nothing(ask, monkeypatch):
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", "a-token-that-opens-nothing")
    result = ask("selftest")
    assert (result.code, result.out) == (1, "")
    assert "the control token is wrong" in result.err


def test_a_service_that_goes_away_is_no_answer(ask, trials, monkeypatch):
    trials("abort")

    def gone(*_arguments):
        raise ConnectionRefusedError("nobody listens")

    monkeypatch.setattr(trying, "exchange", gone)
    result = ask("selftest")
    assert result.code == 3
    assert "no connection for abort 503: nobody listens" in result.err


def test_a_control_endpoint_on_an_address_of_its_own_has_no_self_test(ask, trials, monkeypatch):
    trials("abort")
    missing = read_response(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    monkeypatch.setattr(trying, "exchange", lambda *_arguments: Seen(b"", (), "FIN", 0.0, missing))
    result = ask("selftest")
    assert (result.code, result.out) == (1, "")
    assert "there is no self-test here (it needs the control endpoint on the service's own address" in result.err


@pytest.mark.parametrize(("hurried", "verdict"), [(0, "ok"), (2, "ok"), (3, "wrong")])
def test_what_comes_in_pieces_and_is_seen_at_once_is_tried_three_times(ask, trials, monkeypatch, hurried, verdict):
    trials("dribble")
    seen, patient = [], trying.exchange

    def exchange(*arguments):
        seen.append(patient(*arguments))
        return replace(seen[-1], arrivals=seen[-1].arrivals[-1:]) if len(seen) <= hurried else seen[-1]

    monkeypatch.setattr(trying, "exchange", exchange)
    assert rows(ask("selftest"))["dribble"] == verdict
