"""As `routed_asgi`, for the frameworks of WSGI."""

from __future__ import annotations

from faultware.wsgi import FaultMiddleware
from tests.frameworks.applications import WSGI
from tests.servers.wsgi_app import plain


def ruled(app):
    return FaultMiddleware(app, enabled=True, rules="/payments 100% abort 418", store="memory:", environ={})


PAIRS = {name: (make(), make(ruled)) for name, make in WSGI.items()}


def app(environ, start_response):
    pair = PAIRS.get(environ.get("HTTP_X_APP", ""), (plain, plain))
    return pair["HTTP_X_FAULTED" in environ](environ, start_response)
