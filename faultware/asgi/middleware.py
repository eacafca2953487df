"""The ASGI middleware: it takes the effects that the core has planned.

A request on which nothing can match costs a number read, a dictionary look-up and no coroutine of ours. Lifespan and
unknown scopes go to the application untouched.
"""

from __future__ import annotations

import logging
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from faultware.asgi.acting import inject
from faultware.asgi.control import answer
from faultware.asgi.measuring import measured, pulse
from faultware.asgi.requests import ScopeRequest
from faultware.asgi.selftest import attempt
from faultware.asgi.startup import refuse
from faultware.asgi.websocket import Handshake, inject_websocket
from faultware.control.mounting import mount
from faultware.errors import ConfigurationError
from faultware.runtime.build import build
from faultware.runtime.routing import route_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from typing import Unpack

    from starlette.types import ASGIApp, Receive, Scope, Send

    from faultware.core.plan import Plan
    from faultware.core.ruleset import LiveRule
    from faultware.runtime.build import Options
    from faultware.runtime.injector import Injector
    from faultware.runtime.view import View

_log = logging.getLogger("faultware")

# Set in the scope by the middleware that decided: if the application is wrapped twice, the inner one lets it pass.
_DECIDED: Final = "faultware.decided"
_name: Final = itemgetter(0)


class FaultMiddleware:
    """Injects faults into an ASGI application.

    ```python
    app.add_middleware(FaultMiddleware)  # everything from FAULTWARE_* variables
    app = FaultMiddleware(app, rules="/payments 10% abort 503")
    ```

    A mistake in the configuration makes the lifespan start-up fail with a message that names it; under a server
    without lifespan every request is answered with 500.

    Args:
        app: The application; kept as `.app`.
        options: See `faultware.runtime.build.Options`; the environment wins over them.
    """

    def __init__(self, app: ASGIApp, **options: Unpack[Options]) -> None:
        self.app = app
        # uvicorn and hypercorn take an object for ASGI 3 only if its `__call__` is a coroutine function. They look at
        # the object; Python, when it is called, at the class. Set so that no dictionary comes to be: with `vars`, every
        # attribute that is read here takes a third longer (CPython 3.11).
        object.__setattr__(self, "__call__", self._call)
        self._refusal = ""
        self._injector: Injector | None = None
        self._route = route_of(app)
        try:
            service = build(options, "asgi")
        except ConfigurationError as error:
            self._refusal = f"faultware is misconfigured: {error}"
            _log.critical("%s", self._refusal)
            return
        if service is not None:
            self._injector = service.injector
            self._control = mount(service)
            self._landmark = None if self._control is None else self._control.landmark
            self._mark = service.settings.mark_responses
            self._listens = service.settings.control_listen is not None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection. A plain function, so that passing by costs no coroutine."""
        app = self.app  # by a name of its own, since Python looks for a method first where an attribute is called
        injector = self._injector
        if injector is None:
            return self._refuse(scope, receive, send) if self._refusal else app(scope, receive, send)
        view = injector.view
        if injector.is_off:
            landmark = self._landmark
            if landmark is None:
                return app(scope, receive, send)
            try:
                is_quiet = landmark not in scope["path"]
            except KeyError:  # lifespan has no path
                is_quiet = True
        elif injector.signal[0] != view.word:
            return self._attend(injector, None, scope, receive, send)
        else:
            try:
                if (path := scope["path"]) in view.quiet:
                    is_quiet = not scope["root_path"]
                elif path in view.nearly_quiet and not scope["root_path"]:
                    is_quiet = scope["type"] == "http" and view.raw_header_names.isdisjoint(
                        map(_name, scope["headers"])
                    )
                else:
                    is_quiet = False
            except (KeyError, TypeError):  # a server may leave out the root path
                is_quiet = False
        if is_quiet:
            return app(scope, receive, send)
        return self._attend(injector, view, scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        await type(self).__call__(self, scope, receive, send)

    def _attend(
        self, injector: Injector, view: View | None, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """Look closely at a request; without a view at the switch, too, which has changed."""
        app = self.app
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            if kind == "lifespan" and self._listens:
                # This process is going to serve: whoever wants to stop it need not wait for its first request.
                injector.current()
            return app(scope, receive, send)
        if view is None:
            view = injector.current()
            injector.pulse = injector.pulse or pulse()
        if kind == "websocket":
            return self._attend_websocket(injector, view, scope, receive, send)
        path, root = scope["path"], scope.get("root_path", "")
        candidates: Sequence[LiveRule] | None = None if root else view.known.get(path)
        if candidates is None:
            path = self._route(path, root)
            if self._control is not None and self._control.owns(path):
                if self._control.is_selftest(path):
                    return attempt(self._control, injector, path, scope, receive, send, is_marked=self._mark)
                return answer(self._control, path, scope, receive, send)
            rules, names = view.rules, view.raw_header_names
            try:
                has_field = names and not names.isdisjoint(map(_name, scope["headers"]))
                if has_field or rules.has_raw or (rules.has_query and scope.get("query_string")):
                    candidates = rules.candidates(ScopeRequest(scope, path))
                else:
                    candidates = rules.find(path)
            except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
                injector.failed("decide", error)
        if _DECIDED in scope or not (candidates or view.is_measured):
            return app(scope, receive, send)
        request, plan = ScopeRequest(scope, path), None
        if candidates:
            scope[_DECIDED] = True
            plan = injector.decide(view, candidates, request)
        if view.is_measured and injector.measures(view, scope["method"], path):
            serve = partial(self._serve, injector, plan, request, scope, receive)
            return measured(injector.traffic, serve, send, is_injected=plan is not None)
        if plan is None:
            return app(scope, receive, send)
        return inject(app, injector, plan, request, scope, receive, send, is_marked=self._mark)

    def _serve(
        self,
        injector: Injector,
        plan: Plan | None,
        request: ScopeRequest,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> Awaitable[None]:
        if plan is None:
            return self.app(scope, receive, send)
        return inject(self.app, injector, plan, request, scope, receive, send, is_marked=self._mark)

    def _attend_websocket(
        self, injector: Injector, view: View, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """WebSockets have rules of their own, and whether there are any is known at once."""
        app = self.app
        if self._landmark is not None and self._landmark in scope["path"]:
            path = self._route(scope["path"], scope.get("root_path", ""))
            control = self._control
            if control is not None and control.owns(path) and control.is_selftest(path):
                return attempt(control, injector, path, scope, receive, send, is_marked=self._mark)
        if not view.websockets.live or _DECIDED in scope:
            return app(scope, receive, send)
        request = Handshake(scope, self._route(scope["path"], scope.get("root_path", "")))
        try:
            candidates = view.websockets.candidates(request)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            injector.failed("decide", error)
            return app(scope, receive, send)
        if not candidates:
            return app(scope, receive, send)
        scope[_DECIDED] = True
        plan = injector.decide(view, candidates, request)
        if plan is None:
            return app(scope, receive, send)
        return inject_websocket(app, injector, plan, request, scope, receive, send, is_marked=self._mark)

    def _refuse(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return refuse(self._refusal, scope, receive, send)
