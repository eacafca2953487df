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
HEADS = "HEAD /payments 100% abort 418"
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


@pytest.mark.parametrize("name", [*ASGI, *WSGI])
@pytest.mark.parametrize("method", ["GET", "get", "Get", "POST"])
def test_no_spelling_of_a_method_escapes_and_none_is_hit_that_is_refused(name, method):
    kind, make, ask = (
        (AsgiFaultMiddleware, ASGI[name], ask_asgi) if name in ASGI else (WsgiFaultMiddleware, WSGI[name], ask_wsgi)
    )

    def ruled(app):
        return kind(app, enabled=True, rules="GET /payments 100% abort 418", store="memory:", environ={})

    # Django, Flask and Quart put methods into capitals before they look at them.
    folds = name in ("django-asgi", "django-wsgi", "flask", "quart")
    is_get = (method.upper() if folds else method) == "GET"
    if is_get or not name.startswith("django"):  # which serves every method here
        assert (ask(make(), "/payments", method=method)[0] == 200) is is_get
    assert (ask(make(ruled), "/payments", method=method)[0] == 418) is is_get


@pytest.mark.parametrize("name", ["quart", "flask"])
def test_an_answer_to_a_method_that_is_not_quite_head_has_the_body_that_its_server_expects(name):
    if name in ASGI:
        app = ASGI[name](lambda app: AsgiFaultMiddleware(app, enabled=True, rules=HEADS, store="memory:", environ={}))
        assert ask_asgi(app, "/payments", method="head")[:2] == (418, "fault injected\n")
    else:
        app = WSGI[name](lambda app: WsgiFaultMiddleware(app, enabled=True, rules=HEADS, store="memory:", environ={}))
        assert ask_wsgi(app, "/payments", method="head")[:2] == (418, "fault injected\n")
