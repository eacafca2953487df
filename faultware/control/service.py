"""The control endpoint: one function from request to response.

JSON goes in and out, errors are problem documents, and nothing changes by GET. It stands before all rules, so that no
fault can reach it.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from faultware.control.auth import Guard
from faultware.control.messages import MAX_BODY, Problem
from faultware.control.operations import Operations
from faultware.control.routes import Table
from faultware.core.request import Request
from faultware.errors import FaultwareError

if TYPE_CHECKING:
    from faultware.control.messages import Answer, ControlRequest, ControlResponse
    from faultware.runtime.build import Service

_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="faultware"'}
# What the token is called where it is said who did something.
_ACTOR: Final = "control token"


def mount(service: Service) -> Control | None:
    """The control endpoint of a service; None without a token: then nothing is mounted."""
    token = service.settings.control_token
    return None if token is None else Control(service, token.get_secret_value())


class Control:
    """Answers below the control path.

    Args:
        service: What is controlled.
        token: Whoever shows it may do everything.
    """

    def __init__(self, service: Service, token: str) -> None:
        self._prefix = service.settings.control_path
        self._below = self._prefix + "/"
        # Stands in every path that a router takes for one of the endpoint's, however it is spelt.
        self.landmark = self._prefix.rpartition("/")[2]
        self._guard = Guard(token, service.settings.control_hosts)
        self._injector = service.injector
        self._operations = Operations(service)
        self._table = Table()

    def owns(self, path: str) -> bool:
        """Whether a decoded path is the endpoint's and no longer the application's."""
        return path.startswith(self._below) or path == self._prefix

    def below(self, path: str) -> str:
        """What follows the control path in a path that it owns."""
        return path[len(self._prefix) :]

    def handle(self, request: ControlRequest) -> ControlResponse:
        """Answer a request; nothing is raised."""
        try:
            return self._answer(request).render()
        except Problem as problem:
            return problem.render()
        except FaultwareError as error:
            return Problem.of(error).render()
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            self._injector.failed("control", error)
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a bug in faultware; it was counted").render()

    def _answer(self, request: ControlRequest) -> Answer:
        self._admit(request)
        request = replace(request, actor=_ACTOR)
        routes, name = self._table.find(request.path)
        if not routes:
            known = ", ".join(self._table.paths)
            path = quote(request.path[:80], errors="replace")
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no {path} here; there are {known}")
        route = routes.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allow = ", ".join(sorted({*routes, *(["HEAD"] if "GET" in routes else [])}))
            detail = f"{request.method[:20]} does nothing here; allowed: {allow}"
            raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"allow": allow})
        if len(request.body) > MAX_BODY:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY} bytes")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.body and content_type != "application/json":
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as content-type: application/json")
        return route.operation(self._operations, request, name)

    def _admit(self, request: ControlRequest) -> None:
        if not self._guard.admits(request.headers.get("authorization", "")):
            detail = "send the control token as authorization: Bearer …"
            raise Problem(HTTPStatus.UNAUTHORIZED, detail, headers=_CHALLENGE)
        host = Request(headers=[("host", request.headers.get("host", ""))]).host
        if not self._guard.allows_host(host):
            detail = f"the host {host[:80]!r} is not allowed here; FAULTWARE_CONTROL_HOSTS names those that are"
            raise Problem(HTTPStatus.FORBIDDEN, detail)
