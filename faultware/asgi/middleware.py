"""The ASGI middleware: it lets pass at once what no rule can concern.

A request on which nothing can match costs a flag, a dictionary look-up and no coroutine of ours. All others go
to the attendant. Importing this module loads next to nothing: the rest is loaded when an application is wrapped.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faultware.asgi.glancing import is_free_of
from faultware.errors import FaultwareError

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Unpack

    from starlette.types import ASGIApp, Receive, Scope, Send

    from faultware.runtime.build import Options
    from faultware.runtime.injector import Injector

_log = logging.getLogger("faultware")


class FaultMiddleware:
    """Injects faults into an ASGI application.

    ```python
    app.add_middleware(FaultMiddleware)  # everything from FAULTWARE_* variables
    app = FaultMiddleware(app, rules="/payments 10% abort 503")
    ```

    A mistake in the configuration, or an extra that is not installed, makes the lifespan start-up fail with a message
    that names it; under a server without lifespan every request is answered with 500.

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
        from faultware.runtime.build import build  # noqa: PLC0415  (see above)

        try:
            service = build(options, "asgi")
        except FaultwareError as error:
            self._refusal = f"faultware is misconfigured: {error}"
            _log.critical("%s", self._refusal)
            return
        if service is not None:
            from faultware.asgi.attending import Attendant  # noqa: PLC0415
            from faultware.control.mounting import mount  # noqa: PLC0415

            self._injector = service.injector
            self._control = mount(service)
            self._landmark = None if self._control is None else self._control.landmark
            self._attend = Attendant(app, service, self._control).attend

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection. A plain function, so that passing by costs no coroutine."""
        app = self.app  # by a name of its own, since Python looks for a method first where an attribute is called
        injector = self._injector
        if injector is None:
            return self._refuse(scope, receive, send) if self._refusal else app(scope, receive, send)
        view = injector.view
        if view.alarm:
            if not view.is_off:
                return self._attend(None, scope, receive, send)
            landmark = self._landmark
            if landmark is None:
                return app(scope, receive, send)
            try:
                path = scope["path"]
            except KeyError:  # lifespan has no path
                path = ""
            if landmark not in path:
                return app(scope, receive, send)
            return self._attend(view, scope, receive, send)
        try:
            path = None if scope["root_path"] else scope["path"]
        except KeyError:  # a server may leave out the root path
            path = None
        if path in view.quiet:
            return app(scope, receive, send)
        if path in view.nearly_quiet and scope["type"] == "http" and is_free_of(view.raw_header_names, scope):
            return app(scope, receive, send)
        return self._attend(view, scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        await type(self).__call__(self, scope, receive, send)

    def _refuse(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        from faultware.asgi.startup import refuse  # noqa: PLC0415

        return refuse(self._refusal, scope, receive, send)
