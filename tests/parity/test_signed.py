"""A request that asks for a fault gets it under ASGI and under WSGI, and the next one does not."""

from __future__ import annotations

import anyio
import pytest

from faultware.signing import HEADER, sign
from tests.asgi import server as asgi
from tests.wsgi import server as wsgi

KEY = "0123456789abcdef0123456789abcdef"


def through_asgi(rules, requests):
    async def main():
        app = asgi.wrapped(asgi.Application(), rules, fault_signing_key=KEY)
        exchanges = [await asgi.ask(app, path, headers=headers) for path, headers in requests]
        return [(exchange.status, exchange.mark) for exchange in exchanges]

    return anyio.run(main)


def through_wsgi(rules, requests):
    def hello(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"hello"]

    app = wsgi.wrapped(hello, rules, fault_signing_key=KEY)
    answers = [wsgi.ask(app, path, headers=headers) for path, headers in requests]
    return [(answer.status, answer.mark) for answer in answers]


@pytest.mark.parametrize("serve", [through_asgi, through_wsgi])
@pytest.mark.parametrize("rules", ["", "/other 100% abort 500", "/pay 0% abort 500", "/pay header:x=1 100% abort 500"])
def test_only_the_request_that_asks_is_faulted_and_only_once(serve, rules):
    for path in ("/pay", "/päy"):
        value = sign(KEY, "GET", path, "abort 418")
        asking, plain, forged = [(HEADER, value)], [("x", "y")], [(HEADER, value[:-5] + "AAAAA")]
        requests = [(path, plain), (path, asking), (path, asking), (path, plain), (path, forged), ("/else", asking)]
        assert serve(rules, requests) == [(200, None), (418, "signed-request;abort")] + [(200, None)] * 4
