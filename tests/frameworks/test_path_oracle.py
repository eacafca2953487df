"""A rule for `/payments` hits exactly the requests that the application would have routed to `/payments` or below.

The oracle is the application itself, without faultware.
"""

from __future__ import annotations

import pytest

from faultware.asgi import FaultMiddleware as AsgiFaultMiddleware
from faultware.wsgi import FaultMiddleware as WsgiFaultMiddleware
from tests.frameworks.applications import ASGI, PAYMENTS, WSGI
from tests.frameworks.calling import ask_asgi, ask_wsgi
from tests.frameworks.spellings import SPELLINGS

RULE = "/payments 100% abort 418 as teapot"
BELOW_A_MOUNT = (
    "/payments",
    "/payments/",
    "//payments",
    "/payments%2F7",
    "/payments%0A",
    "/payments/api/payments",
    "/x/api/payments",
    "/apipayments",
    "/api/payments",
    "/api//payments",
    "//api/payments",
    "/x",
    "/",
)


def asgi_rule(app):
    return AsgiFaultMiddleware(app, enabled=True, rules=RULE, store="memory:", environ={})


def wsgi_rule(app):
    return WsgiFaultMiddleware(app, enabled=True, rules=RULE, store="memory:", environ={})


@pytest.fixture(scope="module", params=[*ASGI, *WSGI])
def pair(request):
    """How to ask the plain application, and how to ask the one behind the rule."""
    name = request.param
    if name in ASGI:
        plain, faulted = ASGI[name](), ASGI[name](asgi_rule)
        return (
            lambda target, **where: ask_asgi(plain, target, **where),
            lambda target, **where: ask_asgi(faulted, target, **where),
            ({"root": "/api"}, {"root": "/api", "root_in_path": True}, {"root": "/a/b", "root_in_path": True}),
        )
    plain, faulted = WSGI[name](), WSGI[name](wsgi_rule)
    return (
        lambda target, **where: ask_wsgi(plain, target, **where),
        lambda target, **where: ask_wsgi(faulted, target, **where),
        ({"root": "/api"}, {"root": "/payments"}),
    )


def differences(pair, targets, **where):
    ask_plain, ask_faulted, _ = pair
    wrong = {}
    for target in targets:
        status, text, _headers = ask_plain(target, **where)
        routed = status == 200 and text == PAYMENTS
        hit = ask_faulted(target, **where)[0] == 418
        if routed != hit:
            wrong[target] = f"routed to {text if status == 200 else status}, {'hit' if hit else 'missed'}"
    return wrong


def test_no_spelling_escapes_and_none_is_hit_that_is_routed_elsewhere(pair):
    assert differences(pair, SPELLINGS) == {}


def test_no_spelling_escapes_below_a_mount(pair):
    for where in pair[2]:
        assert differences(pair, BELOW_A_MOUNT, **where) == {}, where


def test_the_oracle_knows_both_answers(pair):
    ask_plain, _, _ = pair
    assert ask_plain("/payments")[1] == PAYMENTS
    assert ask_plain("/payments-v2")[1] != PAYMENTS
