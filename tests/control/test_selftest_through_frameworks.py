"""The self-test through Starlette and through Werkzeug: a fault on one request, and the application hears nothing."""

from __future__ import annotations

import json

import pytest

from faultware import InjectedDisconnect
from faultware.control.selftest import BODY, ECHO, READ, UNKNOWN_LENGTH
from faultware.runtime.caps import Budgets
from tests.control.test_through_frameworks import AUTHORIZED, SERVICES, asking, control

PATH = "/_faultware/selftest"


@pytest.fixture(params=SERVICES)
def service(request):
    return SERVICES[request.param]("/ 100% abort 500 as everything")


def attempt(service, fault, method="GET", body=b"", **headers):
    return service.ask(method, f"{PATH}?fault={fault}", *((asking(**headers)[0]), body))


def test_a_fault_acts_on_the_request_that_asks_for_it_and_is_marked(service):
    status, headers, body = attempt(service, "abort+503")
    assert (status, headers["faultware-fault"], body) == (503, "selftest;abort", b"fault injected\n")


def test_a_response_fault_acts_on_a_known_answer(service):
    status, headers, body = attempt(service, "replace_status+418", **{ECHO: "seen"})
    assert (status, body) == (418, BODY)
    assert (headers[ECHO], headers[READ], headers["content-length"]) == ("seen", "0", "4096")
    assert headers["faultware-fault"] == "selftest;replace_status"


def test_the_known_application_reads_the_body_and_can_leave_out_the_length(service):
    status, headers, body = attempt(service, "replace_status+201", "POST", b"x" * 70_000, **{ECHO: UNKNOWN_LENGTH})
    assert (status, headers[READ], len(body)) == (201, "70000", 4096)
    assert "content-length" not in headers


def test_a_connection_fault_reaches_a_client_in_this_process(service):
    with pytest.raises(InjectedDisconnect):
        attempt(service, "reset")


def test_without_the_token_there_is_no_fault(service):
    for headers in ({"host": AUTHORIZED["host"]}, {**AUTHORIZED, "authorization": "Bearer wrong-token-it-is"}):
        status, told, body = service.ask("GET", f"{PATH}?fault=abort+503", headers)
        assert (status, told["content-type"]) == (401, "application/problem+json")
        assert "selftest;abort" not in str(told)
        assert "control token" in json.loads(body)["detail"]


def test_a_killed_switch_keeps_it_from_acting_and_arming_lets_it_act_again(service):
    control(service, "POST", "/kill")
    status, _, body = attempt(service, "abort+503")
    assert (status, json.loads(body)["detail"]) == (409, "the switch is killed: arm it first")
    control(service, "POST", "/arm")
    assert attempt(service, "abort+503")[0] == 503


def test_what_cannot_be_done_is_refused(service):
    status, headers, body = attempt(service, "kill+term")
    assert (status, headers["content-type"]) == (422, "application/problem+json")
    assert "FAULTWARE_ALLOW_INSTANCE_FAULTS" in json.loads(body)["detail"]


def test_no_rule_is_left_behind(service):
    before = control(service, "GET", "/status")[1]
    attempt(service, "abort+503")
    after = control(service, "GET", "/status")[1]
    assert (after["version"], after["rules"], after["active_faults"]) == (before["version"], 1, 0)


def test_at_the_cap_on_active_faults_the_known_answer_comes_untouched(service):
    middleware = service.app
    while not hasattr(middleware, "_injector"):
        if getattr(middleware, "middleware_stack", None) is None:
            attempt(service, "abort+503")  # Starlette builds its stack at the first request
        middleware = middleware.middleware_stack.app if hasattr(middleware, "middleware_stack") else middleware.app
    middleware._injector.caps.budgets = Budgets(0)
    status, headers, body = attempt(service, "abort+503")
    assert (status, body) == (200, BODY)
    assert "faultware-fault" not in headers
