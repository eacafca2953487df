"""The control endpoint: from a request to a response.

JSON goes in and out, errors are problem documents, and nothing changes by GET. It stands before all rules, so that no
fault can reach it. A request is admitted by its head, without any waiting; only then its body is read, and only then
may anything touch a disk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from faultware.config.tokens import Role
from faultware.control import selftest
from faultware.control.attempts import Attempts
from faultware.control.auth import Door
from faultware.control.messages import MAX_BODY, MAX_HEADERS, MAX_TARGET, ControlResponse, Problem
from faultware.control.operations import Operations
from faultware.control.routes import Table
from faultware.control.shell import Shell
from faultware.errors import FaultwareError
from faultware.runtime.series import Series
from faultware.telemetry.events import AccessRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.config.tokens import Token
    from faultware.control.auth import Keyring
    from faultware.control.messages import Answer, ControlRequest
    from faultware.control.routes import Route
    from faultware.core.plan import Plan
    from faultware.core.request import Request
    from faultware.runtime.build import Service

_REALM: Final = 'Bearer realm="faultware"'
# A path in which nothing is encoded and nothing has to be resolved: what it says is what everybody reads in it.
_PLAIN: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?", re.ASCII)
_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", re.ASCII)
_T = TypeVar("_T")
# So many failures from one place are worth a line in the log.
_NEWS: Final = frozenset({1, 10, 100, 1000, 10_000, 100_000, 1_000_000})


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be answered once its body is there.

    Args:
        request: Without its body.
        route: What it asks for.
        name: What stands in its path.
    """

    request: ControlRequest
    route: Route
    name: str

    @property
    def is_urgent(self) -> bool:
        """Whether it must not wait for anything that others ask for.

        Nor for its own body, if the client leaves before that has come: who kills and goes has killed.
        """
        return self.route.needs is Role.KILL


class Control:
    """Answers below the control path.

    Args:
        service: What is controlled.
        keyring: Who may do what.
    """

    def __init__(self, service: Service, keyring: Keyring) -> None:
        self._prefix = service.settings.control_path
        self._below = self._prefix + "/"
        # Stands in every path that a router takes for one of the endpoint's, however it is spelt.
        self.landmark = self._prefix.rpartition("/")[2]
        self._keyring = keyring
        address = service.settings.control_listen
        self._door = Door(service.settings.control_hosts, address.host if address and not address.is_any else "")
        self._injector = service.injector
        self._attempts = Attempts(service.injector.clocks.monotonic)
        series = Series()
        self._operations = Operations(service, series)
        self._table = Table()
        self._shell = Shell(self.landmark)
        # The series first: it asks what was measured since guards last had something measured.
        self._injector.chores.insert(0, series.tick)
        self._injector.chores.append(keyring.tend)

    def owns(self, path: str) -> bool:
        """Whether a decoded path is the endpoint's and no longer the application's."""
        return path.startswith(self._below) or path == self._prefix

    def below(self, path: str) -> str:
        """What follows the control path in a path that it owns."""
        return path[len(self._prefix) :]

    def handle(self, request: ControlRequest) -> ControlResponse:
        """Answer a request whose body is at hand; nothing is raised."""
        admitted = self.admit(request)
        return self.answer(admitted, request.body) if isinstance(admitted, Admitted) else admitted

    def admit(self, request: ControlRequest) -> Admitted | ControlResponse:
        """Look at all of a request but its body: whether it may be answered, or the refusal. Waits for nothing."""
        found = self._guarded(lambda: self._page(request) or self._admit(request))
        return found.render() if isinstance(found, Problem) else found

    def answer(self, admitted: Admitted, body: bytes) -> ControlResponse:
        """Answer a request that was admitted; may wait for the store."""
        return self._guarded(lambda: self._answer(admitted, body)).render()

    def decline(self, request: ControlRequest) -> ControlResponse:
        """The refusal of a WebSocket's handshake."""
        return self._guarded(lambda: self._no_websocket(request)).render()

    def is_selftest(self, path: str) -> bool:
        """Whether a path that it owns is the one where a fault is tried out."""
        return self.below(path) == selftest.PATH

    def selftest(
        self, asked: ControlRequest, request: Request, *, is_websocket: bool = False
    ) -> Plan | ControlResponse:
        """What is to be done to a request that asks for a fault on itself, or why nothing is; nothing is raised.

        Args:
            asked: The request, for admission.
            request: The same, as rules see it.
            is_websocket: Whether it is the handshake of a WebSocket.
        """
        found = self._guarded(lambda: self._selftest(asked, request, is_websocket))
        return found.render() if isinstance(found, Problem) else found

    def _selftest(self, asked: ControlRequest, request: Request, is_websocket: bool) -> Plan:
        _check_size(asked)
        token = self._token(asked)
        self._check_place(asked)
        self._check_role(asked, token, Role.CONTROL)
        return selftest.plan(self._injector, request, is_websocket=is_websocket)

    def _no_websocket(self, request: ControlRequest) -> Problem:
        _check_size(request)
        self._token(request)
        self._check_place(request)
        return Problem(HTTPStatus.NOT_FOUND, "there are no WebSockets here")

    def _guarded(self, step: Callable[[], _T]) -> _T | Problem:
        try:
            return step()
        except Problem as problem:
            return problem
        except FaultwareError as error:
            return Problem.of(error)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            self._injector.failed("control", error)
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a bug in faultware; it was counted")

    def _page(self, request: ControlRequest) -> ControlResponse | None:
        """A part of the console. It holds nothing, so that anybody may have it, and any site may link to it."""
        page = self._shell.find(request.method, request.path)
        if page is not None:
            _check_size(request)
            self._check_name(request)
        return page

    def _admit(self, request: ControlRequest) -> Admitted:
        _check_size(request)
        token = self._token(request)
        request = replace(request, actor=token.name, role=token.role)
        self._check_place(request)
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
        self._check_role(request, token, route.needs)
        admitted = Admitted(request, route, name)
        length = request.headers.get("content-length", "")
        is_too_large = length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > MAX_BODY)
        if is_too_large and not admitted.is_urgent:
            raise _too_large()
        return admitted

    def _answer(self, admitted: Admitted, body: bytes) -> Answer:
        try:
            return self._operate(admitted, body)
        except Problem as problem:
            if admitted.is_urgent:
                # Who may stop faults and asks for it has stopped them, whatever is wrong with the reason that is given.
                self._operate(admitted, b"")
                problem.detail += "; faults are stopped all the same"
            raise

    def _operate(self, admitted: Admitted, body: bytes) -> Answer:
        if len(body) > MAX_BODY:
            raise _too_large()
        request = replace(admitted.request, body=body)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and content_type != "application/json":
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as content-type: application/json")
        return admitted.route.operation(self._operations, request, admitted.name)

    def _token(self, request: ControlRequest) -> Token:
        authorization = request.headers.get("authorization", "")
        token = self._keyring.find(authorization)
        if token is not None:
            self._attempts.succeeded(request.client)
            return token
        headers = {"www-authenticate": _REALM}
        if not authorization:
            # A browser or a probe, and nobody who guesses.
            self._injector.refusals["token"] += 1
        else:
            failures, seconds = self._attempts.failed(request.client)
            self._refuse(request, "token", failures)
            if seconds:
                detail = f"too many wrong tokens; a right one is let in at once, a wrong one not before {seconds} s"
                headers["retry-after"] = str(seconds)
                raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers=headers)
        is_sent = authorization.strip().lower().startswith("bearer ")
        detail = "the control token is wrong" if is_sent else "send the control token as authorization: Bearer …"
        raise Problem(HTTPStatus.UNAUTHORIZED, detail, headers=headers)

    def _check_role(self, request: ControlRequest, token: Token, needs: Role) -> None:
        if token.role < needs:
            challenge = f'{_REALM}, error="insufficient_scope", scope="{needs}"'
            detail = f"this needs a token with the role {needs}; that of {token.name} has the role {token.role}"
            self._refuse(request, "role", 1)
            raise Problem(HTTPStatus.FORBIDDEN, detail, headers={"www-authenticate": challenge})

    def _check_place(self, request: ControlRequest) -> None:
        """Refuse what another site has a browser send, and what is written so that others may read it differently."""
        self._check_name(request)
        if self._door.is_foreign(request.headers):
            self._refuse(request, "site", 1)
            raise Problem(HTTPStatus.FORBIDDEN, "this was sent by a page of another site")

    def _check_name(self, request: ControlRequest) -> None:
        """Refuse a host that is not ours, and a path that a proxy may read differently."""
        host = request.headers.get("host", "")
        if not self._door.allows_host(host):
            self._refuse(request, "host", 1)
            detail = f"the host {host[:80]!r} is not allowed here; FAULTWARE_CONTROL_HOSTS names those that are"
            hint = {"hint": "in a hurry: the header host: localhost, or --host localhost"}
            raise Problem(HTTPStatus.FORBIDDEN, detail, fields=hint)
        raw = _ORIGIN.sub("", request.raw_path.partition("?")[0], count=1)
        if raw and not (_PLAIN.fullmatch(raw) and raw.endswith(self._prefix + request.path)):
            # A proxy that keeps others off the control path compares what is written, and would let this pass.
            detail = f"write the path plainly, without % and //, as {self._prefix} and what is below it"
            raise Problem(HTTPStatus.NOT_FOUND, detail)

    def _refuse(self, request: ControlRequest, reason: str, failures: int) -> None:
        self._injector.refusals[reason] += 1
        if failures in _NEWS:
            at = self._injector.clocks.wall()
            self._injector.tell(AccessRefused(at, request.actor, request.origin, reason, failures))


def _check_size(request: ControlRequest) -> None:
    size = sum(len(name) + len(value) + 4 for name, value in request.headers.items())
    if size > MAX_HEADERS:
        detail = f"the headers have at most {MAX_HEADERS} bytes"
        raise Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
    if len(request.path) + len(request.query_string) > MAX_TARGET:
        raise Problem(HTTPStatus.REQUEST_URI_TOO_LONG, f"path and query have at most {MAX_TARGET} bytes")


def _too_large() -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY} bytes")
