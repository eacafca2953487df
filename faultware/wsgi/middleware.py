"""The WSGI middleware: it lets pass at once what no rule can concern.

A request on which nothing can match costs a flag and a dictionary look-up; the application's iterable is passed
on untouched, so that the server's own short cuts for it go on working. All others go to the attendant. Importing this
module loads next to nothing: the rest is loaded when an application is wrapped.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faultware.errors import FaultwareError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from faultware.runtime.build import Options
    from faultware.runtime.injector import Injector

_log = logging.getLogger("faultware")


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
        MissingExtraError: Something in it needs an extra that is not installed.
        StoreError: What the store holds cannot be read any more.
    """

    def __init__(self, app: WSGIApplication, **options: Unpack[Options]) -> None:
        self.app = app
        self._injector: Injector | None = None
        from faultware.runtime.build import build  # noqa: PLC0415  (see above)

        try:
            service = build(options, "wsgi")
        except FaultwareError as error:
            # Whoever starts the service reads what is wrong, and not the way to where it was found.
            _log.critical("faultware is misconfigured: %s", error)
            raise error.with_traceback(None) from None
        if service is not None:
            from faultware.control.mounting import mount  # noqa: PLC0415
            from faultware.wsgi.attending import Attendant  # noqa: PLC0415

            self._injector = service.injector
            self._control = mount(service)
            self._landmark = None if self._control is None else self._control.landmark
            self._attend = Attendant(app, service, self._control).attend

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        app = self.app  # by a name of its own, since Python looks for a method first where an attribute is called
        injector = self._injector
        if injector is None:
            return app(environ, start_response)
        if injector.view.is_off:
            landmark = self._landmark
            if landmark is None:
                return app(environ, start_response)
            try:
                path = environ["PATH_INFO"]
            except KeyError:  # a server may leave out a path that is empty (PEP 3333)
                path = ""
            if landmark not in path:
                return app(environ, start_response)
        elif not (view := injector.view).alarm:
            try:
                path = environ["PATH_INFO"]
            except KeyError:
                return self._attend(environ, start_response)
            if path in view.quiet:
                return app(environ, start_response)
            if path in view.nearly_quiet and environ.keys().isdisjoint(view.header_names):
                return app(environ, start_response)
        return self._attend(environ, start_response)
