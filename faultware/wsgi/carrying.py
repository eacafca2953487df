"""Lets a WSGI application pass on what a request brought along for the calls that are made while it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultware.propagation import Carrying
from faultware.wsgi.responses import Attended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def carrying(app: WSGIApplication, current: Callable[[], str]) -> WSGIApplication:
    """The application, to be called once; until its answer is closed `outgoing` has something to say."""

    def carry(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        carried = Carrying(current)
        carried.begin()
        return Attended(carried.end).answer(app, environ, start_response)

    return carry
