"""The two middlewares in every framework: faults arrive, everything else passes, the control endpoint answers."""

from __future__ import annotations

import pytest

from faultware.asgi import FaultMiddleware as AsgiFaultMiddleware
from faultware.wsgi import FaultMiddleware as WsgiFaultMiddleware
from tests.frameworks.applications import ASGI, ELSEWHERE, PAYMENTS, WSGI
from tests.frameworks.calling import ask_asgi, ask_wsgi

TOKEN = "a-token-for-framework-tests"
VARIABLES = {
    "FAULTWARE_ENABLED": "true",
    "FAULTWARE_RULES": "/payments 100% abort 503 as down; /slow 100% delay 1ms as slow",
    "FAULTWARE_CONTROL_TOKEN": TOKEN,
    "FAULTWARE_STORE": "memory:",
}
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(params=[*ASGI, *WSGI])
def ask(request, monkeypatch):
    """Asks an application that was set up as the manual says, by variables alone."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    if request.param in ASGI:
        app = ASGI[request.param](AsgiFaultMiddleware)
        return lambda path, **how: ask_asgi(app, path, **how)
    app = WSGI[request.param](WsgiFaultMiddleware)
    return lambda path, **how: ask_wsgi(app, path, **how)


@pytest.fixture(params=[*ASGI, *WSGI])
def ask_idle(request, monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAULTWARE_ENABLED", "off")
    if request.param in ASGI:
        app = ASGI[request.param](AsgiFaultMiddleware)
        return lambda path, **how: ask_asgi(app, path, **how)
    app = WSGI[request.param](WsgiFaultMiddleware)
    return lambda path, **how: ask_wsgi(app, path, **how)


def test_a_rule_answers_in_the_applications_place(ask):
    status, text, headers = ask("/payments/7")
    assert (status, text, headers["faultware-fault"]) == (503, "fault injected\n", "down;abort")


def test_a_delayed_request_gets_the_applications_answer_and_a_mark(ask):
    status, text, headers = ask("/slow")
    assert (status, text, headers["faultware-fault"]) == (200, ELSEWHERE, "slow;delay")


def test_a_route_that_no_rule_names_is_untouched(ask):
    for _ in range(3):
        status, text, headers = ask("/other")
        assert (status, text) == (200, ELSEWHERE)
        assert "faultware-fault" not in headers


def test_a_kill_by_the_control_endpoint_lets_the_next_request_pass(ask):
    assert ask("/_faultware/kill", method="POST")[0] == 401
    assert ask("/payments")[0] == 503
    assert ask("/_faultware/kill", method="POST", headers=BEARER)[0] == 200
    status, text, headers = ask("/payments")
    assert (status, text) == (200, PAYMENTS)
    assert "faultware-fault" not in headers


def test_a_disabled_middleware_is_not_there(ask_idle):
    status, text, headers = ask_idle("/payments")
    assert (status, text) == (200, PAYMENTS)
    assert "faultware-fault" not in headers
    assert ask_idle("/_faultware/status", headers=BEARER)[1] == ELSEWHERE


def test_a_mounted_starlette_application_sees_paths_below_its_mount():
    from starlette.applications import Starlette
    from starlette.routing import Mount

    def wrap(app):
        return AsgiFaultMiddleware(app, enabled=True, rules="/payments 100% abort 418", store="memory:", environ={})

    app = Starlette(routes=[Mount("/shop", app=ASGI["starlette"](wrap)), Mount("/", app=ASGI["starlette"]())])
    assert ask_asgi(app, "/shop/payments")[0] == 418
    assert ask_asgi(app, "/shop/other")[0] == 200
    assert ask_asgi(app, "/payments")[:2] == (200, PAYMENTS)


def test_a_mounted_flask_application_sees_paths_below_its_mount():
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    def wrap(app):
        return WsgiFaultMiddleware(app, enabled=True, rules="/payments 100% abort 418", store="memory:", environ={})

    app = DispatcherMiddleware(WSGI["flask"](), {"/shop": WSGI["flask"](wrap)})
    assert ask_wsgi(app, "/shop/payments")[0] == 418
    assert ask_wsgi(app, "/shop//payments")[0] == 418
    assert ask_wsgi(app, "/shop/other")[0] == 200
    assert ask_wsgi(app, "/payments")[:2] == (200, PAYMENTS)


def test_litestar_takes_it_in_its_own_list_of_middlewares_too():
    from litestar import Litestar, get
    from litestar.middleware import DefineMiddleware

    @get("/payments", sync_to_thread=False)
    def payments() -> str:
        return PAYMENTS

    rules = DefineMiddleware(
        AsgiFaultMiddleware, enabled=True, rules="/payments 100% abort 418", store="memory:", environ={}
    )
    app = Litestar([payments], middleware=[rules], openapi_config=None)
    for spelling in ("/payments", "//payments", "/payments/"):
        assert ask_asgi(app, spelling)[0] == 418, spelling


def test_wrapping_twice_injects_once(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    asgi = AsgiFaultMiddleware(ASGI["fastapi"](AsgiFaultMiddleware))
    wsgi = WsgiFaultMiddleware(WSGI["flask"](WsgiFaultMiddleware))
    assert ask_asgi(asgi, "/slow")[2]["faultware-fault"] == "slow;delay"
    assert ask_wsgi(wsgi, "/slow")[2]["faultware-fault"] == "slow;delay"
