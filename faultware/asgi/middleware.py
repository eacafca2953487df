"""The ASGI middleware: it takes the effects that the core has planned.

A request on which nothing can match costs a number read, a dictionary look-up and no coroutine of ours. Lifespan,
WebSocket and unknown scopes go to the application untouched.
"""

from __future__ import annotations

import logging
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from faultware.asgi.control import answer
from faultware.asgi.requests import ScopeRequest
from faultware.asgi.responses import abort, farewell, lose, marked
from faultware.asgi.startup import refuse
from faultware.asgi.waiting import ReadAhead, hold
from faultware.control.service import mount
from faultware.core.faults import HANG_OVER, Abort, Hang, Raise, RateLimit
from faultware.core.plan import mark
from faultware.errors import ConfigurationError
from faultware.runtime.build import build
from faultware.runtime.holding import Ending
from faultware.runtime.routing import route_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from typing import Unpack

    from starlette.types import ASGIApp, Receive, Scope, Send

    from faultware.core.plan import Injection, Plan
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
        # the object; Python, when it is called, at the class.
        vars(self)["__call__"] = self._call
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

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection. A plain function, so that passing by costs no coroutine."""
        app = self.app  # by a name of its own, since Python looks for a method first where an attribute is called
        injector = self._injector
        if injector is None:
            return self._refuse(scope, receive, send) if self._refusal else app(scope, receive, send)
        view = injector.view
        if injector.signal[0] != view.word:
            return self._attend(injector, None, scope, receive, send)
        if view.is_idle and self._landmark is None:
            return app(scope, receive, send)
        try:
            if view.is_idle:
                is_quiet = self._landmark not in scope["path"]
            else:
                is_quiet = scope["path"] in view.quiet and not scope["root_path"]
                if is_quiet and view.raw_header_names:
                    is_quiet = view.raw_header_names.isdisjoint(map(_name, scope["headers"]))
        except (KeyError, TypeError):  # lifespan has no path, and a server may leave out the root path
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
        if scope["type"] != "http":
            return app(scope, receive, send)
        if view is None:
            view = injector.current()
        path, root = scope["path"], scope.get("root_path", "")
        candidates: Sequence[LiveRule] | None = None if root else view.known.get(path)
        if candidates is None:
            path = self._route(path, root)
            if self._control is not None and self._control.owns(path):
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
        if not candidates or _DECIDED in scope:
            return app(scope, receive, send)
        scope[_DECIDED] = True
        request = ScopeRequest(scope, path)
        plan = injector.decide(view, candidates, request)
        if plan is None:
            return app(scope, receive, send)
        return self._inject(injector, plan, request, scope, receive, send)

    def _refuse(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return refuse(self._refusal, scope, receive, send)

    async def _inject(
        self, injector: Injector, plan: Plan, request: ScopeRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # Claimed here and not before: a coroutine that is cancelled before it begins would not give the place back.
        if not injector.enter(plan):
            await self.app(scope, receive, send)
            return
        ahead = ReadAhead(receive)
        last = plan.ending
        done = plan.before
        ending: Ending | None = Ending.OVER
        # The wait has no coroutine of its own: ten thousand requests may be held at once, and each costs memory.
        try:
            try:
                for injection in done:
                    injector.injected(injection, request)
                if plan.delay_seconds:
                    ending = await hold(injector, plan.delay_seconds, ahead)
                if last is not None and ending is Ending.OVER:
                    injector.injected(last, request)
                    done = (*plan.before, last)
                    ending = await self._end(injector, last, mark(done), request, scope, ahead, send)
                elif last is not None:
                    injector.withdrawn(last, "gone" if ending is Ending.GONE else "killed")
                if ending is Ending.GONE:
                    await farewell(send)
            finally:
                injector.leave()
            if ending in (Ending.OVER, Ending.RELEASED):
                await self.app(scope, ahead, marked(send, mark(done)) if self._mark and done else send)
        finally:
            ahead.close()

    async def _end(
        self,
        injector: Injector,
        last: Injection,
        marks: str,
        request: ScopeRequest,
        scope: Scope,
        ahead: ReadAhead,
        send: Send,
    ) -> Ending | None:
        """Do what ends the request. None: it is answered; else how it came that its hang did not end it."""
        marks = marks if self._mark else ""
        match last.fault:
            case Abort(after=after) as fault:
                if after:
                    await self.app(scope, ahead, lose)
                await abort(send, request.method, fault, marks)
            case RateLimit() as fault:
                await abort(send, request.method, fault.answer(last.retry_after_seconds), marks)
            case Raise(exception=name):
                raise injector.exceptions.make(name)
            case Hang(duration_seconds=seconds):
                ending = await hold(injector, injector.hang_seconds(seconds), ahead)
                if ending is not Ending.OVER:
                    return ending
                await abort(send, request.method, HANG_OVER, marks)
            case _:
                injector.withdrawn(last, "impossible")
                return Ending.RELEASED
        return None
