"""Every ASGI framework's application of `tests.frameworks`, as it is and behind a rule, on one server.

The header `x-app` says which is asked, and `x-faulted` says that it is the one behind the rule.
"""

from __future__ import annotations

from faultware.asgi import FaultMiddleware
from tests.frameworks.applications import ASGI
from tests.servers.asgi_app import plain


def ruled(app):
    return FaultMiddleware(app, enabled=True, rules="/payments 100% abort 418", store="memory:", environ={})


PAIRS = {name.encode(): (make(), make(ruled)) for name, make in ASGI.items()}


async def app(scope, receive, send):
    lines = dict(scope.get("headers", ()))
    pair = PAIRS.get(lines.get(b"x-app", b""), (plain, plain))
    await pair[b"x-faulted" in lines](scope, receive, send)
