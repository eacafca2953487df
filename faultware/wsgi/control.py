"""The control endpoint, in Werkzeug's own types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Request, Response

from faultware.control.messages import MAX_BODY, ControlRequest
from faultware.control.service import Admitted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from faultware.control.service import Control


def answer(control: Control, path: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request to the control endpoint.

    Args:
        control: The endpoint.
        path: The decoded path, which the endpoint owns.
        environ: Of the request.
        start_response: The server's.
    """
    request = Request(environ)
    admitted = control.admit(asked(control, path, request))
    if isinstance(admitted, Admitted):
        try:
            body = _body(request)
        except ClientDisconnected as error:
            if admitted.is_urgent:
                control.answer(admitted, b"")
            return error(environ, start_response)
        answered = control.answer(admitted, body)
    else:
        answered = admitted
    response = Response(answered.body, answered.status)
    # Not the type that Werkzeug gives to an answer without one: 204 has none.
    response.headers.clear()
    response.headers.update(answered.headers)
    return response(environ, start_response)


def asked(control: Control, path: str, request: Request) -> ControlRequest:
    """The head of a request, as the endpoint sees it.

    Args:
        control: The endpoint.
        path: The decoded path, which the endpoint owns.
        request: The request.
    """
    environ = request.environ
    return ControlRequest(
        method=request.method,
        path=control.below(path),
        query_string=request.query_string.decode("latin-1"),
        headers={name.lower(): value for name, value in request.headers.items()},
        client=request.remote_addr or "",
        raw_path=environ.get("RAW_URI") or environ.get("REQUEST_URI") or "",
    )


def _body(request: Request) -> bytes:
    """The body, cut one byte behind the limit: longer ones are refused, not kept. One read may give a part of it."""
    body = bytearray()
    while len(body) <= MAX_BODY and (chunk := request.stream.read(MAX_BODY + 1 - len(body))):
        body += chunk
    return bytes(body)
