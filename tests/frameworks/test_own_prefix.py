"""Applications that put a mount prefix of their own in the place of the server's, with the middleware around them; and
Flask under ASGI, whose prefix is taken away by what calls it.
"""

from __future__ import annotations

import warnings

import pytest

from faultware.asgi import FaultMiddleware
from tests.frameworks.applications import ASGI, PAYMENTS, WSGI
from tests.frameworks.calling import ask_asgi, by_asgiref, by_starlette
from tests.frameworks.spellings import SPELLINGS
from tests.frameworks.test_path_oracle import BELOW_A_MOUNT

# The longer ones come first: what is remembered of `/api/api/payments` is not to be taken for `/api/payments`.
TARGETS = ("/api/api/payments", "/api/api/x", "/api/x", "/api", *BELOW_A_MOUNT, "/payments", "/api/payments")


def ruled(app):
    rules = "/payments 100% abort 418; /other header:x-a=1 100% abort 503"
    return FaultMiddleware(app, enabled=True, rules=rules, store="memory:", environ={})


@pytest.fixture(params=["fastapi", "django"])
def make(request, monkeypatch):
    """Makes an application that believes it is mounted at `/api`, whatever the server says."""
    if request.param == "django":
        from django.conf import settings

        ASGI["django-asgi"]()
        monkeypatch.setattr(settings, "FORCE_SCRIPT_NAME", "/api")
        return ASGI["django-asgi"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions would rather have it from the server
        app = ASGI["fastapi"](root="/api")
    return lambda: app


@pytest.mark.parametrize("root", ["", "/x"])
def test_no_spelling_escapes_an_application_with_a_prefix_of_its_own(make, root):
    plain, faulted = make(), ruled(make())
    wrong = {}
    for target in TARGETS * 2:
        status, text, _ = ask_asgi(plain, target, root=root)
        is_hit = ask_asgi(faulted, target, root=root)[0] == 418
        if is_hit != ((status, text) == (200, PAYMENTS)):
            wrong[target] = f"{status} {text[:20]}, {'hit' if is_hit else 'missed'}"
    assert wrong == {}


@pytest.mark.parametrize("root", ["", "/api"])
@pytest.mark.parametrize("adapt", [by_starlette, by_asgiref])
def test_no_spelling_escapes_flask_under_asgi(adapt, root):
    plain, faulted = adapt(WSGI["flask"]()), ruled(adapt(WSGI["flask"]()))
    wrong = {}
    for target in (*SPELLINGS, "/api/payments", "/api//payments", "//api/payments", "/api", "/x/api/payments"):
        status, text, _ = ask_asgi(plain, target, root=root)
        is_hit = ask_asgi(faulted, target, root=root)[0] == 418
        if is_hit != ((status, text) == (200, PAYMENTS)):
            wrong[target] = f"{status} {text[:20]}, {'hit' if is_hit else 'missed'}"
    assert wrong == {}
