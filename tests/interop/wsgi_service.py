"""The service under a WSGI server; see `services`."""

from prometheus_client import CollectorRegistry

from faultware.wsgi import FaultMiddleware
from tests.interop.services import ANSWER, CASE, TALLY, headers, options, tally

_registry = CollectorRegistry()
_made = {}
_case = f"HTTP_{CASE.upper().replace('-', '_')}"


def plain(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return _answer(start_response, body or ANSWER)


def _answer(start_response, body):
    start_response("200 OK", headers(body))
    return [body]


def app(environ, start_response):
    case = environ.get(_case, "")
    if not case:
        return plain(environ, start_response)
    if case not in _made:
        _made[case] = FaultMiddleware(plain, registry=_registry, **options(case))
    if environ["PATH_INFO"] == TALLY:
        return _answer(start_response, tally(_made[case]))
    return _made[case](environ, start_response)
