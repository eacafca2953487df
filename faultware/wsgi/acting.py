"""What is done to one WSGI request on which a plan acts: before the application, in its place, and to its response."""

from __future__ import annotations

from typing import TYPE_CHECKING
from wsgiref.util import FileWrapper

from faultware.core.faults import (
    CONNECTION_NEEDS,
    HANG_OVER,
    Abort,
    Close,
    Garbage,
    Hang,
    Needs,
    PartialHead,
    Phase,
    Raise,
    RateLimit,
    RequestHeaders,
    Reset,
)
from faultware.core.plan import Injection, mark
from faultware.core.shaping.build import acts_on_response, pacer, shape
from faultware.runtime.holding import Ending
from faultware.wsgi.reading import PacedInput, edit
from faultware.wsgi.responses import Attended, abort, farewell, lose, marked
from faultware.wsgi.shaped import Shaped
from faultware.wsgi.transport import NO_CONNECTION, forget_body, part, reach
from faultware.wsgi.waiting import Hold, hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from faultware.core.plan import Plan
    from faultware.core.shaping.chain import Chain
    from faultware.core.shaping.effects import By
    from faultware.core.shaping.pacing import Pacer
    from faultware.runtime.injector import Injector
    from faultware.wsgi.requests import EnvironRequest


class Act:
    """One request on which a plan acts, and whose place among the active faults has been claimed.

    Args:
        app: The application.
        injector: Counts, knows the time, and releases what waits.
        plan: What is to be done.
        request: As rules see it.
        environ: Of the request.
        start_response: The server's.
        marks: Whether responses are marked.
    """

    __slots__ = (
        "_after",
        "_app",
        "_connection",
        "_done",
        "_environ",
        "_injector",
        "_is_out",
        "_last",
        "_marks",
        "_plan",
        "_request",
        "_start_response",
    )

    def __init__(
        self,
        app: WSGIApplication,
        injector: Injector,
        plan: Plan,
        request: EnvironRequest,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        *,
        marks: bool,
    ) -> None:
        self._app = app
        self._injector = injector
        self._plan = plan
        self._request = request
        self._environ = environ
        self._start_response = start_response
        self._marks = marks
        self._last = plan.ending
        self._after: tuple[Injection, ...] = plan.after
        # What was done so far, for the mark.
        self._done: tuple[Injection, ...] = ()
        self._connection = NO_CONNECTION
        # Whether the place has been given back.
        self._is_out = False

    def answer(self) -> Iterable[bytes]:
        """Act, and answer or let the application answer. The place is given back in any case."""
        try:
            body: Iterable[bytes] | None = self._before()
            if body is None and (self._last is None or self._last.fault.needs is not Needs.NOTHING):
                self._find_out()
            if body is None:
                body = None if self._last is None else self._end(self._last)
        except BaseException:
            self._leave()
            raise
        if body is None and self._after:
            return self._shape()
        self._leave()
        return self._app(self._environ, self._marked()) if body is None else body

    def _before(self) -> list[bytes] | None:
        """Delays, and faults of the process; None: the request goes on."""
        harm: list[Injection] = []
        for injection in self._plan.before:
            if injection.fault.phase is Phase.INSTANCE:
                harm.append(injection)
            else:
                self._note(injection)
        seconds = self._plan.delay_seconds
        ending = hold(self._injector, seconds, self._environ) if seconds else Ending.OVER
        if ending is Ending.OVER:
            releases = self._injector.releases
            self._done += tuple(injection for injection in harm if self._injector.act(injection, self._request))
            # A block looks for the kill file, too, and may be the first to know of it; or the switch is armed again.
            if not harm or not (self._injector.instances.is_killed() or self._injector.releases != releases):
                return None
            harm.clear()
        for injection in (*harm, *(() if self._last is None else (self._last,)), *self._after):
            self._injector.withdrawn(injection, "gone" if ending is Ending.GONE else "killed")
        self._last, self._after = None, ()
        return farewell(self._start_response) if ending is Ending.GONE else None

    def _find_out(self) -> None:
        """Find out whether what needs the connection can have it; else it gives way to its rule's fallback, if any."""
        chosen = (self._last,) if self._last is not None else self._after
        if CONNECTION_NEEDS.isdisjoint(injection.fault.needs for injection in chosen):
            return
        try:
            self._connection = reach(self._environ, self._request)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            self._injector.failed("act", error)
        refused = [injection for injection in chosen if not self._connection.allows(injection.fault)]
        if refused:
            for injection in refused:
                self._injector.withdrawn(injection, "impossible")
            plan = self._plan.without(refused)
            self._last, self._after = (None, ()) if plan is None else (plan.ending, plan.after)

    def _end(self, last: Injection) -> Iterable[bytes] | None:
        """Do what ends the request; None: it was released, and goes on."""
        if isinstance(last.fault, Abort) and last.fault.after:
            try:
                with Hold(self._injector, self._environ) as held:
                    answer = lose(
                        self._app, self._environ, self._marked(), lambda: self._injector.is_stopped, held.is_over
                    )
            except BaseException:
                self._injector.withdrawn(last, "killed" if self._injector.is_stopped else "unanswered")
                raise
            if answer is not None:
                self._injector.withdrawn(last, "killed")
                return answer
        self._note(last)
        match last.fault:
            case Abort() as fault:
                return self._reply(fault)
            case RateLimit() as fault:
                return self._reply(fault.answer(last.retry_after_seconds))
            case Raise(exception=name):
                raise self._injector.exceptions.make(name)
            case Hang(duration_seconds=seconds):
                ending = hold(self._injector, self._injector.hang_seconds(seconds), self._environ)
                if ending is Ending.OVER:
                    return self._reply(HANG_OVER)
                return farewell(self._start_response) if ending is Ending.GONE else None
            case Reset():
                return self._cut("reset")
            case Close():
                return self._cut("fin")
            case PartialHead() | Garbage() as fault:
                return self._cut("fin", fault.data)
            case _:  # nothing else ends a request of HTTP/1
                return None

    def _cut(self, by: By, data: bytes = b"") -> list[bytes] | None:
        """End the connection, after these bytes; None: the switch was killed before."""
        patience = self._injector.hang_seconds(None)
        with Hold(self._injector, self._environ) as held:
            ending = self._connection.settle(held.wait, patience)
            if ending is Ending.RELEASED:
                return None
            if data and ending is Ending.OVER and self._connection.write(data, held.wait, patience) is Ending.OVER:
                self._connection.drain(held.wait, patience)
        try:
            self._connection.end(by)
        except OSError as error:
            self._injector.failed("act", error)
        return part(self._environ, self._start_response)

    def _reply(self, fault: Abort) -> list[bytes]:
        """Answer in the application's place, and in the terms of gRPC where the request is one of gRPC."""
        forget_body(self._environ)
        answer = fault.in_terms_of(self._request)
        return abort(self._start_response, self._request.method, answer, self._mark(self._done))

    def _shape(self) -> Iterable[bytes]:
        """Let the application answer, and do what is to be done to the request it sees and to its response.

        The place among the active faults goes to whoever outlives this call.
        """
        injector = self._injector
        response = [injection for injection in self._after if acts_on_response(injection)]
        try:
            environ, pace, chain = self._made(response)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            injector.failed("act", error)
            for injection in self._after:
                injector.withdrawn(injection, "impossible")
            self._after, environ, pace, chain = (), self._environ, None, None
        everything = self._mark((*self._done, *self._after))
        for injection in self._after:
            if injection not in response:
                self._note(injection)
        if chain is None and pace is None:
            self._leave()
            return self._app(environ, self._marked())
        if chain is None:
            return Attended(self._leave).answer(self._app, environ, self._marked())
        if "wsgi.file_wrapper" in environ:
            # The server's own may be sent past us.
            environ["wsgi.file_wrapper"] = FileWrapper
        return Shaped(
            injector,
            tuple(response),
            chain,
            (everything, self._mark(self._done)),
            request=self._request,
            environ=environ,
            start_response=self._start_response,
            connection=self._connection,
            leave=self._step_out,
        ).answer(self._app)

    def _made(self, response: Sequence[Injection]) -> tuple[WSGIEnvironment, Pacer | None, Chain | None]:
        """What the application is to see of the request, what slows its body, and what shapes the response."""
        environ, clock = dict(self._environ), self._injector.clocks.monotonic
        for injection in self._after:
            if isinstance(injection.fault, RequestHeaders):
                edit(environ, injection.fault)
        pace = pacer(self._after, clock)
        if pace is not None:
            environ["wsgi.input"] = PacedInput(environ["wsgi.input"], pace, self._hold, clock)
        return environ, pace, shape(response, self._request.method, self._injector.hang_seconds(None), clock)

    def _hold(self, seconds: float) -> Ending:
        ending = hold(self._injector, seconds, self._environ)
        if ending is not Ending.OVER:
            self._step_out()  # however long the application goes on
        return ending

    def _leave(self) -> None:
        self._connection.close()
        self._step_out()

    def _step_out(self) -> None:
        """Give the place back; only the first time counts."""
        if not self._is_out:
            self._is_out = True
            self._injector.leave()

    def _note(self, injection: Injection) -> None:
        self._done = (*self._done, injection)
        self._injector.injected(injection, self._request)

    def _mark(self, done: Iterable[Injection]) -> str:
        return mark(done) if self._marks else ""

    def _marked(self) -> StartResponse:
        return marked(self._start_response, self._mark(self._done))
