"""The self-test over WSGI: a fault on the request that asks for it, around an application whose answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from faultware.control import selftest
from faultware.control.messages import ControlResponse
from faultware.wsgi.acting import Act
from faultware.wsgi.control import asked
from faultware.wsgi.requests import EnvironRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from faultware.control.service import Control
    from faultware.runtime.injector import Injector


def attempt(
    control: Control,
    injector: Injector,
    path: str,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    *,
    is_marked: bool,
) -> Iterable[bytes]:
    """Do to a request what it asks for, or refuse it.

    Args:
        control: The endpoint.
        injector: Of the service.
        path: The decoded path, which is the self-test's.
        environ: Of the request.
        start_response: The server's.
        is_marked: Whether answers say what was done.
    """
    request = EnvironRequest(environ, path)
    planned = control.selftest(asked(control, path, Request(environ)), request)
    if isinstance(planned, ControlResponse):
        response = Response(planned.body, planned.status, headers=dict(planned.headers))
        return response(environ, start_response)
    if not injector.enter(planned, request):
        return application(environ, start_response)
    return Act(application, injector, planned, request, environ, start_response, marks=is_marked).answer()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answers requests with what `faultware.control.selftest` says."""
    request = Request(environ)
    read = sum(len(piece) for piece in iter(lambda: request.stream.read(65536), b""))
    start_response("200 OK", selftest.head(request.headers.get(selftest.ECHO, ""), read))
    # A generator, so that the pieces stay what they are.
    return (piece for piece in selftest.pieces())
