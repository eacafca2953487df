"""The service under an ASGI server; see `services`."""

from prometheus_client import CollectorRegistry

from faultware.asgi import FaultMiddleware
from tests.interop.services import ANSWER, CASE, TALLY, headers, options, tally

_registry = CollectorRegistry()
_made = {}
_case = CASE.encode()


async def plain(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await _answer(send, body or ANSWER)


async def _answer(send, body):
    lines = [(name.encode(), value.encode()) for name, value in headers(body)]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    case = next((value.decode() for name, value in scope["headers"] if name == _case), "")
    if not case:
        await plain(scope, receive, send)
        return
    if case not in _made:
        _made[case] = FaultMiddleware(plain, registry=_registry, **options(case))
    if scope["path"] == TALLY:
        await _answer(send, tally(_made[case]))
    else:
        await _made[case](scope, receive, send)
