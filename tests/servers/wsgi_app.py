"""A plain WSGI application behind the middleware. It imports no framework."""

from __future__ import annotations

from faultware.wsgi import FaultMiddleware
from tests.servers.plain import answer


def plain(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    content, headers = answer(environ["PATH_INFO"], environ["wsgi.input"].read(length))
    start_response("200 OK", list(headers.items()))
    return [content]


app = FaultMiddleware(plain)
