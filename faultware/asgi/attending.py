"""Looks closely at the requests that the ASGI middleware could not let pass at once, and takes the planned effects.

Lifespan and unknown scopes go to the application untouched.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from faultware.asgi.acting import inject
from faultware.asgi.carrying import carrying
from faultware.asgi.control import answer, decline
from faultware.asgi.glancing import is_free_of
from faultware.asgi.measuring import measured, pulse
from faultware.asgi.nesting import decided
from faultware.asgi.requests import ScopeRequest
from faultware.asgi.selftest import attempt
from faultware.asgi.websocket import Handshake, inject_websocket
from faultware.runtime.nesting import NESTING
from faultware.runtime.routing import folds_methods, mount_of, route_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from faultware.control.service import Control
    from faultware.core.plan import Plan
    from faultware.core.ruleset import LiveRule
    from faultware.runtime.build import Service
    from faultware.runtime.view import View

# Set in the scope by the middleware that decided: if the application is wrapped twice, the inner one lets it pass.
_DECIDED: Final = "faultware.decided"


class Attendant:
    """Decides for each request that is not to pass at once, and serves it.

    Args:
        app: The application.
        service: What was built for it.
        control: The control endpoint that is answered for here.
    """

    __slots__ = ("_app", "_control", "_injector", "_is_marked", "_listens", "_mount", "_request", "_route")

    def __init__(self, app: ASGIApp, service: Service, control: Control | None) -> None:
        self._app = app
        self._injector = service.injector
        self._control = control
        self._mount = mount_of(app)
        self._route = route_of(app, self._mount)
        self._request = ScopeRequest.folded if folds_methods(app) else ScopeRequest
        self._is_marked = service.settings.mark_responses
        self._listens = service.settings.control_listen is not None

    def attend(self, view: View | None, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Look closely at a request; without a view at the switch, too, which has changed."""
        app, injector = self._app, self._injector
        if scope["type"] != "http":
            return self._attend_other(view, scope, receive, send)
        if view is None:
            view = self._look()
        path, root = scope["path"], scope.get("root_path", "")
        candidates: Sequence[LiveRule] | None = None if root else view.known.get(path)
        if candidates is None:
            path = self._route(path, root)
            if self._control is not None and self._control.owns(path):
                return self._answer(self._control, path, scope, receive, send)
            rules, names = view.rules, view.raw_header_names
            # What is remembered is looked up before the prefix has been taken away: `/api/api` is not to hide `/api`.
            remember = not self._mount or not path.startswith(self._mount)
            try:
                has_field = names and not is_free_of(names, scope)
                if has_field or rules.has_raw or (rules.has_query and scope.get("query_string")):
                    asking = self._request(scope, path)
                    candidates = rules.candidates(asking, remember=remember)
                    app = self._app_for(view, asking) if rules.carries else app
                else:
                    candidates = rules.find(path, remember)
            except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
                injector.failed("decide", error)
        if not (candidates or view.is_measured) or _DECIDED in scope:
            return app(scope, receive, send)
        plan = request = None
        if candidates:
            scope[_DECIDED] = True
            app = decided(app) if NESTING.is_possible else app
            first = candidates[0]
            if first.is_simple and injector.is_plain and len(candidates) == 1 and scope["method"] != "OPTIONS":
                try:
                    plan = injector.roll(first)
                except Exception as error:  # noqa: BLE001  (as above)
                    injector.failed("decide", error)
            else:
                request = self._request(scope, path)
                plan = injector.decide(view, candidates, request)
                request.method = scope["method"]  # as it was sent: it says whether an answer has a body
        if view.is_measured and injector.measures(view, scope["method"], path):
            serve = partial(self._serve, app, plan, request or ScopeRequest(scope, path), scope, receive, send)
            return measured(injector.traffic, serve, send, is_injected=plan is not None)
        if plan is None:
            return app(scope, receive, send)
        if request is None:
            request = ScopeRequest(scope, path)
        return inject(app, injector, plan, request, scope, receive, send, self._is_marked)

    def _look(self) -> View:
        """Look at the switch, which has changed, or has yet to be looked at in this process."""
        injector = self._injector
        injector.pulse = injector.pulse or pulse()
        return injector.current()

    def _answer(self, control: Control, path: str, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if control.is_selftest(path):
            return attempt(control, self._injector, path, scope, receive, send, is_marked=self._is_marked)
        return answer(control, path, scope, receive, send)

    def _app_for(self, view: View, request: ScopeRequest) -> ASGIApp:
        """The application, within which calls carry what a request has brought along for them."""
        current = self._injector.carry(view, request)
        return self._app if current is None else carrying(self._app, current)

    def _serve(
        self,
        app: ASGIApp,
        plan: Plan | None,
        request: ScopeRequest,
        scope: Scope,
        receive: Receive,
        given: Send,
        send: Send,
    ) -> Awaitable[None]:
        if plan is None:
            return app(scope, receive, send)
        return inject(app, self._injector, plan, request, scope, receive, send, self._is_marked, given)

    def _attend_other(self, view: View | None, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "websocket":
            return self._attend_websocket(view or self._look(), scope, receive, send)
        if scope["type"] == "lifespan" and self._listens:
            # This process is going to serve: whoever wants to stop it need not wait for its first request.
            self._injector.current()
        return self._app(scope, receive, send)

    def _attend_websocket(self, view: View, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """WebSockets have rules of their own, and whether there are any is known at once."""
        app, injector, control = self._app, self._injector, self._control
        if control is not None and control.landmark in scope["path"]:
            path = self._route(scope["path"], scope.get("root_path", ""))
            if control.owns(path):
                if control.is_selftest(path):
                    return attempt(control, injector, path, scope, receive, send, is_marked=self._is_marked)
                return decline(control, path, scope, receive, send)
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
        return inject_websocket(app, injector, plan, request, scope, receive, send, is_marked=self._is_marked)
