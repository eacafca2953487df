"""The WSGI middleware: it takes the effects that the core has planned.

A request on which nothing can match costs a number read and a dictionary look-up; the application's iterable is passed
on untouched, so that the server's own short cuts for it go on working.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from faultware.control.mounting import mount
from faultware.errors import ConfigurationError
from faultware.runtime.build import build
from faultware.runtime.routing import route_of
from faultware.wsgi.acting import Act
from faultware.wsgi.control import answer
from faultware.wsgi.measuring import measured
from faultware.wsgi.requests import EnvironRequest, path_info
from faultware.wsgi.selftest import attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Unpack
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from faultware.core.plan import Plan
    from faultware.core.ruleset import LiveRule
    from faultware.runtime.build import Options
    from faultware.runtime.injector import Injector

_log = logging.getLogger("faultware")

# Set in the environment by the middleware that decided: where an application is wrapped twice, the inner one passes.
_DECIDED: Final = "faultware.decided"


class FaultMiddleware:
    """Injects faults into a WSGI application.

    ```python
    app.wsgi_app = FaultMiddleware(app.wsgi_app)  # everything from FAULTWARE_* variables
    ```

    Args:
        app: The application; kept as `.app`.
        options: See `faultware.runtime.build.Options`; the environment wins over them.

    Raises:
        ConfigurationError: Something in the configuration cannot be used; WSGI has no other way to refuse to start.
    """

    def __init__(self, app: WSGIApplication, **options: Unpack[Options]) -> None:
        self.app = app
        self._injector: Injector | None = None
        self._route = route_of(app)
        try:
            service = build(options, "wsgi")
        except ConfigurationError as error:
            # Whoever starts the service reads what is wrong, and not the way to where it was found.
            _log.critical("faultware is misconfigured: %s", error)
            raise error.with_traceback(None) from None
        if service is not None:
            self._injector = service.injector
            self._control = mount(service)
            self._landmark = None if self._control is None else self._control.landmark
            self._mark = service.settings.mark_responses

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        app = self.app  # by a name of its own, since Python looks for a method first where an attribute is called
        injector = self._injector
        if injector is None:
            return app(environ, start_response)
        if injector.is_off:
            landmark = self._landmark
            if landmark is None:
                return app(environ, start_response)
            try:
                is_quiet = landmark not in environ["PATH_INFO"]
            except KeyError:  # a server may leave out a path that is empty (PEP 3333)
                is_quiet = True
        elif injector.signal[0] != (view := injector.view).word:
            is_quiet = False
        else:
            try:
                if (path := environ["PATH_INFO"]) in view.quiet:
                    is_quiet = True
                else:
                    is_quiet = path in view.nearly_quiet and environ.keys().isdisjoint(view.header_names)
            except KeyError:
                is_quiet = False
        if is_quiet:
            return app(environ, start_response)
        return self._attend(injector, environ, start_response)

    def _attend(self, injector: Injector, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Look closely at a request, and at the switch if it has changed."""
        view = injector.view
        if injector.signal[0] != view.word:
            view = injector.current()
        path = environ.get("PATH_INFO", "")
        candidates: Sequence[LiveRule] | None = view.known.get(path)
        if candidates is None:
            path = self._route(path_info(environ), "")
            if self._control is not None and self._control.owns(path):
                if self._control.is_selftest(path):
                    return attempt(self._control, injector, path, environ, start_response, is_marked=self._mark)
                return answer(self._control, path, environ, start_response)
            rules = view.rules
            try:
                has_field = not environ.keys().isdisjoint(view.header_names)
                if has_field or rules.has_raw or (rules.has_query and environ.get("QUERY_STRING")):
                    candidates = rules.candidates(EnvironRequest(environ, path))
                else:
                    candidates = rules.find(path)
            except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
                injector.failed("decide", error)
        if not candidates and not view.is_measured:
            return self.app(environ, start_response)
        is_decided = _DECIDED in environ
        chosen: tuple[Plan, EnvironRequest] | None = None
        if candidates and not is_decided:
            environ[_DECIDED] = True
            request = EnvironRequest(environ, path)
            plan = injector.decide(view, candidates, request)
            chosen = (plan, request) if plan is not None and injector.enter(plan, request) else None
        if view.is_measured and not is_decided and injector.measures(view, environ["REQUEST_METHOD"], path):
            serve = partial(self._serve, injector, chosen, environ)
            return measured(injector.traffic, serve, start_response, is_injected=chosen is not None)
        return self._serve(injector, chosen, environ, start_response)

    def _serve(
        self,
        injector: Injector,
        chosen: tuple[Plan, EnvironRequest] | None,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        if chosen is None:
            return self.app(environ, start_response)
        return Act(self.app, injector, *chosen, environ, start_response, marks=self._mark).answer()
