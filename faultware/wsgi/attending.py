"""Looks closely at the requests that the WSGI middleware could not let pass at once, and takes the planned effects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from faultware.runtime.nesting import NESTING
from faultware.runtime.routing import folds_methods, route_of
from faultware.wsgi.acting import Act
from faultware.wsgi.carrying import carrying
from faultware.wsgi.control import answer
from faultware.wsgi.measuring import measured
from faultware.wsgi.requests import EnvironRequest, is_decided_outside, path_info
from faultware.wsgi.selftest import attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from faultware.control.service import Control
    from faultware.core.plan import Plan
    from faultware.core.ruleset import LiveRule
    from faultware.runtime.build import Service
    from faultware.runtime.view import View

# Set in the environment by the middleware that decided: where an application is wrapped twice, the inner one passes.
_DECIDED: Final = "faultware.decided"


class Attendant:
    """Decides for each request that is not to pass at once, and serves it.

    Args:
        app: The application.
        service: What was built for it.
        control: The control endpoint that is answered for here.
    """

    __slots__ = ("_app", "_control", "_injector", "_is_marked", "_request", "_route")

    def __init__(self, app: WSGIApplication, service: Service, control: Control | None) -> None:
        self._app = app
        self._injector = service.injector
        self._control = control
        self._route = route_of(app)
        self._request = EnvironRequest.folded if folds_methods(app) else EnvironRequest
        self._is_marked = service.settings.mark_responses

    def attend(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Look closely at a request, and at the switch if it has changed."""
        app, injector = self._app, self._injector
        view = injector.view
        if view.alarm:
            view = injector.current()
        path = environ.get("PATH_INFO", "")
        candidates: Sequence[LiveRule] | None = view.known.get(path)
        if candidates is None:
            path = self._route(path_info(environ), "")
            if self._control is not None and self._control.owns(path):
                if self._control.is_selftest(path):
                    return attempt(self._control, injector, path, environ, start_response, is_marked=self._is_marked)
                return answer(self._control, path, environ, start_response)
            rules = view.rules
            try:
                has_field = not environ.keys().isdisjoint(view.header_names)
                if has_field or rules.has_raw or (rules.has_query and environ.get("QUERY_STRING")):
                    asking = self._request(environ, path)
                    candidates = rules.candidates(asking)
                    app = self._app_for(view, asking) if rules.carries else app
                else:
                    candidates = rules.find(path)
            except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
                injector.failed("decide", error)
        if not candidates and not view.is_measured:
            return app(environ, start_response)
        is_decided = _DECIDED in environ or (NESTING.is_possible and is_decided_outside(environ))
        chosen: tuple[Plan, EnvironRequest] | None = None
        if candidates and not is_decided:
            environ[_DECIDED] = True
            chosen = self._choose(view, candidates, environ, path)
        if view.is_measured and not is_decided and injector.measures(view, environ["REQUEST_METHOD"], path):
            serve = partial(self._serve, app, chosen, environ)
            return measured(injector.traffic, serve, start_response, is_injected=chosen is not None)
        return self._serve(app, chosen, environ, start_response)

    def _choose(
        self, view: View, candidates: Sequence[LiveRule], environ: WSGIEnvironment, path: str
    ) -> tuple[Plan, EnvironRequest] | None:
        """What to do to a request, if there is a place for it."""
        injector = self._injector
        first, plan, request = candidates[0], None, None
        if first.is_simple and injector.is_plain and len(candidates) == 1 and environ["REQUEST_METHOD"] != "OPTIONS":
            try:
                plan = injector.roll(first)
            except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
                injector.failed("decide", error)
        else:
            request = self._request(environ, path)
            plan = injector.decide(view, candidates, request)
            request.method = environ["REQUEST_METHOD"]  # as it was sent: it says whether an answer has a body
        if plan is None:
            return None
        request = request or EnvironRequest(environ, path)
        return (plan, request) if injector.enter(plan, request) else None

    def _app_for(self, view: View, request: EnvironRequest) -> WSGIApplication:
        """The application, within which calls carry what a request has brought along for them."""
        current = self._injector.carry(view, request)
        return self._app if current is None else carrying(self._app, current)

    def _serve(
        self,
        app: WSGIApplication,
        chosen: tuple[Plan, EnvironRequest] | None,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        if chosen is None:
            return app(environ, start_response)
        return Act(app, self._injector, *chosen, environ, start_response, marks=self._is_marked).answer()
