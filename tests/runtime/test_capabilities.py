"""What is possible is said before a rule is taken; what is not possible is refused, or its fallback acts."""

from __future__ import annotations

import logging

import pytest

from faultware import Abort, Delay, Match, Rule
from faultware.core import faults as kinds
from faultware.core.faults import FAULTS, Bytes
from faultware.core.request import Request
from faultware.core.rules import Choice
from faultware.errors import RuleError
from faultware.runtime import capabilities as module
from faultware.runtime.capabilities import FORMS, Capabilities, Means
from faultware.runtime.exceptions import Exceptions
from faultware.runtime.servers import IN_PROCESS, Server
from faultware.runtime.switch import Switch
from tests.runtime.kit import Time, make_injector, memory

GRANIAN = Server("wsgi", "granian")
ROUTER = Server("wsgi", "uWSGI", "http")
DAPHNE = Server("asgi", "daphne")
UVICORN = Server("asgi", "uvicorn")
SOCKETS = [
    *(Server("asgi", name) for name in ("uvicorn", "hypercorn", "granian", "daphne")),
    *(Server("asgi", "gunicorn", worker) for worker in ("uvicorn", "asgi")),
    *(Server("wsgi", "gunicorn", worker) for worker in ("", "sync", "gthread", "gevent")),
    *(Server("wsgi", name) for name in ("waitress", "werkzeug", "cheroot")),
    Server("wsgi", "uWSGI", "http-socket"),
]
SAY = "granian does not say which connection a WSGI request came by"
ROUTED = "the router of uWSGI --http stands between and ends the client's connection politely"
IMPOSSIBLE = [
    (GRANIAN, kinds.Reset(), SAY),
    (GRANIAN, kinds.Close(), SAY),
    (GRANIAN, kinds.Garbage(), SAY),
    (GRANIAN, kinds.Truncate(Bytes(1)), SAY),
    (ROUTER, kinds.Reset(), ROUTED),
    (ROUTER, kinds.Truncate(Bytes(1), by="reset"), ROUTED),
    (Server("wsgi", "uWSGI", "socket"), kinds.Close(), "the client's connection belongs to the web server in front of"),
    (GRANIAN, kinds.WebsocketRefuse(), "WSGI has no WebSockets"),
    (GRANIAN, kinds.StreamReset(), "WSGI knows nothing of the streams of HTTP/2"),
    (UVICORN, kinds.StreamReset(), "uvicorn does not speak HTTP/2"),
    (Server("asgi", "granian"), kinds.StreamReset(), ""),
    (Server("asgi", "granian"), kinds.StreamReset(8), "granian resets streams with the code 2 only"),
    (DAPHNE, kinds.WebsocketRefuse(503), "daphne answers every handshake that is refused with 403"),
    (Server("asgi", "gunicorn", "asgi"), kinds.WebsocketRefuse(503), "gunicorn answers every handshake"),
    (DAPHNE, kinds.WebsocketClose(1011), "daphne closes with the codes 1000 and 3000 to 4999 only"),
    (UVICORN, kinds.Kill(), "FAULTWARE_ALLOW_INSTANCE_FAULTS is not true"),
    (UVICORN, kinds.Block(1), "FAULTWARE_ALLOW_INSTANCE_FAULTS is not true"),
]
POSSIBLE = [
    *((server, fault) for server in SOCKETS for fault in (kinds.Reset(), kinds.Truncate(Bytes(1), by="reset"))),
    (ROUTER, kinds.Close()),
    (ROUTER, kinds.Truncate(Bytes(1))),
    (DAPHNE, kinds.WebsocketRefuse(403)),
    (DAPHNE, kinds.WebsocketClose(1000)),
    (DAPHNE, kinds.WebsocketClose(3000)),
    (UVICORN, kinds.WebsocketClose(1011)),
    (UVICORN, kinds.WebsocketClose(by="reset")),
    (Server("asgi", "gunicorn"), kinds.WebsocketRefuse(503)),
    (Server("asgi", "hypercorn"), kinds.StreamReset()),
    (Server("asgi", IN_PROCESS), kinds.Reset()),
    (Server(), kinds.Reset()),
    (Server("asgi"), kinds.StreamReset()),
    (GRANIAN, kinds.Throttle(1)),
]


def rule(*, fallback=None, **faults) -> Rule:
    return Rule("broken", Match(path="/pay"), percentage=100, fallback=fallback, **faults)


@pytest.mark.parametrize(("server", "fault", "reason"), IMPOSSIBLE, ids=str)
def test_what_a_server_cannot_do_is_said_with_the_reason(server, fault, reason):
    assert reason in Capabilities(server).why_not(fault)


@pytest.mark.parametrize(("server", "fault"), POSSIBLE, ids=str)
def test_what_a_server_can_do_and_what_nobody_knows_is_not_refused(server, fault):
    assert Capabilities(server).why_not(fault) == ""


def test_elsewhere_than_on_linux_no_connection_is_hurt(monkeypatch):
    monkeypatch.setattr(module, "IS_LINUX", False)
    assert "only Linux" in Capabilities(UVICORN).why_not(kinds.Reset())
    assert Capabilities(UVICORN).why_not(kinds.Abort(503)) == ""


def test_faults_of_the_process_need_leave():
    assert Capabilities(UVICORN, allow_instance_faults=True).why_not(kinds.Kill()) == ""


def test_a_rule_for_what_is_impossible_is_refused_with_the_server_and_the_reason():
    with pytest.raises(RuleError) as caught:
        Capabilities(GRANIAN).check(rule(reset=kinds.Reset()))
    assert str(caught.value) == (
        f"reset: reset is not possible under granian, WSGI: {SAY} (give the rule a fallback, which acts in its place)"
    )


def test_a_rule_for_what_needs_leave_is_refused_with_the_variable_that_gives_it():
    with pytest.raises(RuleError) as caught:
        Capabilities(UVICORN).check(rule(kill=kinds.Kill()))
    assert str(caught.value) == (
        "kill: kill is not possible under uvicorn, ASGI: FAULTWARE_ALLOW_INSTANCE_FAULTS is not true"
        " (set it to true where the process may be harmed)"
    )


def test_alternatives_are_looked_at_too():
    with pytest.raises(RuleError, match="close is not possible"):
        Capabilities(GRANIAN).check(rule(choose=(Choice(1, Abort(503)), Choice(1, kinds.Close()))))


def test_a_rule_with_a_fallback_is_taken():
    Capabilities(GRANIAN).check(rule(reset=kinds.Reset(), fallback=Abort(503)))


@pytest.mark.parametrize("when", ["at the start", "at run time"])
def test_the_switch_takes_no_rule_that_this_server_cannot_act_on(when):
    broken = rule(close=kinds.Close())

    def make(startup):
        capabilities = Capabilities(GRANIAN)
        return Switch(memory(), startup, exceptions=Exceptions(), clocks=Time().clocks, capabilities=capabilities)

    take = make if when == "at the start" else make([]).replace_rules
    with pytest.raises(RuleError, match=r"^broken\.close: close is not possible under granian, WSGI"):
        take([broken])


def test_a_fallback_acts_in_the_place_of_what_turns_out_impossible_and_both_are_counted():
    injector = make_injector([rule(reset=kinds.Reset(), delay=Delay(2), fallback=Abort(502))])
    injector.switch.capabilities.server = GRANIAN
    plan = decide(injector)
    assert [injection.mark for injection in plan.injections] == ["broken;delay", "broken;abort"]
    assert plan.ending.fault.status == 502
    assert plan.delay_seconds == 2
    assert injector.live_rules()[0].tally.suppressed == {"impossible": 1}


def test_what_turns_out_impossible_and_has_no_fallback_passes_and_is_counted():
    injector = make_injector([rule(reset=kinds.Reset())])
    injector.switch.capabilities.server = GRANIAN
    assert decide(injector) is None
    assert injector.live_rules()[0].tally.suppressed == {"impossible": 1}


def test_what_is_possible_beside_it_is_done():
    injector = make_injector([rule(throttle=kinds.Throttle(1), truncate=kinds.Truncate(Bytes(1)))])
    injector.switch.capabilities.server = GRANIAN
    assert [injection.kind for injection in decide(injector).injections] == ["throttle"]


def test_a_fallback_leaves_nothing_to_do_to_a_response():
    both = rule(throttle=kinds.Throttle(1), truncate=kinds.Truncate(Bytes(1)), fallback=Abort(502))
    injector = make_injector([both])
    injector.switch.capabilities.server = GRANIAN
    assert [injection.kind for injection in decide(injector).injections] == ["abort"]


def test_a_process_that_begins_to_serve_says_which_rules_cannot_act(monkeypatch, caplog):
    injector = make_injector([rule(reset=kinds.Reset()), Rule("fine", percentage=1, abort=Abort(500))])
    monkeypatch.setattr(module, "running", lambda _protocol: GRANIAN)
    with caplog.at_level(logging.WARNING, "faultware"):
        injector.current()
    assert caplog.messages == [f"not possible under granian, WSGI: broken (reset: {SAY})"]
    assert injector.switch.capabilities.server == GRANIAN


def test_what_is_known_is_not_forgotten_when_a_call_tells_nothing(monkeypatch):
    capabilities = Capabilities(GRANIAN)
    monkeypatch.setattr(module, "running", Server)
    capabilities.look_again()
    assert capabilities.server == GRANIAN


def test_every_fault_is_described_on_every_server_by_a_sentence():
    for server in (*SOCKETS, GRANIAN, ROUTER, Server("asgi", IN_PROCESS), Server("wsgi", IN_PROCESS), Server()):
        described = Capabilities(server, allow_instance_faults=True).describe()
        assert {one.fault.split()[0] for one in described} == {fault.kind for fault in FAULTS}
        for one in described:
            assert one.reason.endswith("."), one
            assert "  " not in one.reason, one


def test_the_description_agrees_with_what_is_refused():
    for server in (GRANIAN, ROUTER, DAPHNE, UVICORN):
        capabilities = Capabilities(server)
        for one, (_, fault) in zip(capabilities.describe(), FORMS, strict=True):
            assert (one.means is Means.IMPOSSIBLE) == bool(capabilities.why_not(fault))


def test_the_document_names_the_server_and_the_means():
    document = Capabilities(Server("asgi", "hypercorn")).document()
    assert document["server"]["name"] == "hypercorn"
    assert document["server"]["worker"] is None
    assert document["server"]["version"]
    by_fault = {one["fault"]: one for one in document["faults"]}
    assert by_fault["abort"] == {"fault": "abort", "means": "native", "reason": "By the means of ASGI."}
    assert by_fault["reset"]["means"] == "socket"
    assert "stream is reset" in by_fault["reset"]["reason"]
    assert by_fault["kill"]["means"] == "impossible"


def decide(injector):
    request = Request("GET", "/pay")
    view = injector.current()
    return injector.decide(view, view.rules.candidates(request), request)
