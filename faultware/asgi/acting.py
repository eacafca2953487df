"""Carrying out a plan for one request over HTTP: what comes before the handler, in its place, and after it."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, TypeAlias, cast

from faultware.asgi.feeding import feed
from faultware.asgi.finding import line_of
from faultware.asgi.relieving import leaves_unread, relieve
from faultware.asgi.responses import abort, farewell, lose, marked
from faultware.asgi.shaping import Paced, Shaper, edited, without_shortcuts
from faultware.asgi.transport import disconnect, is_ours
from faultware.asgi.waiting import ReadAhead, hold
from faultware.core.faults import (
    CONNECTION_NEEDS,
    HANG_OVER,
    Abort,
    Close,
    Garbage,
    Hang,
    PartialHead,
    Phase,
    Raise,
    RateLimit,
    RequestHeaders,
    Reset,
    StreamReset,
)
from faultware.core.plan import Injection, mark
from faultware.core.shaping.build import acts_on_response, pacer, shape
from faultware.runtime.holding import Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from faultware.asgi.feeding import Feed
    from faultware.asgi.requests import ScopeRequest
    from faultware.asgi.transport import Line
    from faultware.core.plan import Plan
    from faultware.core.shaping.chain import Chain
    from faultware.runtime.injector import Injector

Injections: TypeAlias = tuple[Injection, ...]


async def inject(
    app: ASGIApp,
    injector: Injector,
    plan: Plan,
    request: ScopeRequest,
    scope: Scope,
    receive: Receive,
    send: Send,
    is_marked: bool,
    given: Send | None = None,
) -> None:
    """Serve a request for which something is planned.

    Args:
        app: The application.
        injector: Is told what happens.
        plan: What is to be done.
        request: The request.
        scope: Its scope.
        receive: The server's.
        send: The server's, or what faultware has put around it.
        is_marked: Whether answers say what was done.
        given: The server's own, if `send` is not; connections are found by it.
    """
    # Claimed here and not before: a coroutine that is cancelled before it begins would not give the place back.
    if not injector.enter(plan, request):
        await app(scope, receive, send)
        return
    ahead = ReadAhead(receive)
    done = plan.before
    act: Act | None = None
    ending: Ending | None = Ending.OVER
    # The wait has no coroutine of its own: ten thousand requests may be held at once, and each costs memory.
    try:
        try:
            if scope.get("http_version") == "2":
                try:
                    await relieve(given or send)
                except Exception as error:  # noqa: BLE001  (the server's private objects are its own)
                    injector.failed("act", error)
            for injection in done:
                if injection.fault.phase is Phase.DELAY:
                    injector.injected(injection, request)
            if done:
                held = await hold(injector, plan.delay_seconds, ahead) if plan.delay_seconds else Ending.OVER
                done, ending = _go_on(injector, plan, request, held)
            if ending is Ending.OVER:
                last = plan.ending
                if last is not None and _answers_alone(last):
                    ending = await _end(app, injector, last, request, scope, ahead, send, done, is_marked=is_marked)
                    done = (*done, last)
                elif last is not None or plan.after:
                    act = Act(
                        app, injector, plan, request, scope, ahead, send, done, is_marked=is_marked, given=given or send
                    )
                    ending = await act()
                    done = act.done
            if ending is Ending.GONE:
                await farewell(send)
        finally:
            if act is None:
                injector.leave()
        if ending in (Ending.OVER, Ending.RELEASED):
            await app(scope, ahead, marked(send, mark(done) if is_marked else ""))
    finally:
        ahead.close()


def _answers_alone(last: Injection) -> bool:
    """Whether what ends a request needs neither its connection nor the application, which may take its time."""
    fault = last.fault
    return fault.needs not in CONNECTION_NEEDS and not (isinstance(fault, Abort) and fault.after)


def _go_on(injector: Injector, plan: Plan, request: ScopeRequest, ending: Ending) -> tuple[Injections, Ending]:
    """Behind the delay: harm the process, or withdraw what is off now; what was done so far, and how it goes on."""
    if ending is Ending.OVER:
        tried, releases = plan.before, injector.releases
        done = tuple(one for one in tried if one.fault.phase is Phase.DELAY or injector.act(one, request))
        # A block looks for the kill file, too, and may be the first to know of it; or the switch is armed again by now.
        is_harmful = any(one.fault.phase is Phase.INSTANCE for one in tried)
        is_off = injector.instances.is_killed() if is_harmful else injector.is_stopped
        if not is_off and injector.releases == releases:
            return done, ending
        ending = Ending.RELEASED  # in the middle of a block
    else:
        done = tried = tuple(one for one in plan.before if one.fault.phase is Phase.DELAY)
    for injection in plan.injections:
        if injection not in tried:
            injector.withdrawn(injection, "gone" if ending is Ending.GONE else "killed")
    return done, ending


async def _end(
    app: ASGIApp,
    injector: Injector,
    last: Injection,
    request: ScopeRequest,
    scope: Scope,
    ahead: ReadAhead,
    send: Send,
    done: Injections,
    line: Line | None = None,
    *,
    is_marked: bool,
) -> Ending | None:
    """Do what ends the request. None: it is answered; else how it came that it was not ended."""
    if isinstance(last.fault, Abort) and last.fault.after:
        lost, is_answered = last.fault, False

        async def reply() -> None:
            nonlocal is_answered
            is_answered = True
            injector.injected(last, request)
            closes = leaves_unread(injector.switch.capabilities.server, request)
            await abort(send, request, lost, mark((*done, last)) if is_marked else "", closes=closes)

        passing = marked(send, mark(done) if is_marked else "")
        try:
            await lose(app, scope, ahead, passing, lambda: injector.is_stopped, reply)
        except BaseException:
            if not is_answered:
                injector.withdrawn(last, "killed" if injector.is_stopped else "unanswered")
            raise
        if not is_answered:
            injector.withdrawn(last, "killed")
        return None
    injector.injected(last, request)
    match last.fault:
        case Abort() as fault:
            answer = fault
        case RateLimit() as fault:
            answer = fault.answer(last.retry_after_seconds)
        case Raise(exception=name):
            raise injector.exceptions.make(name)
        case Hang(duration_seconds=seconds):
            ending = await hold(injector, injector.hang_seconds(seconds), ahead)
            if ending is not Ending.OVER:
                return ending
            answer = HANG_OVER
        case Reset() | Close() | PartialHead() | Garbage() | StreamReset() as fault:
            return None if await cast("Line", line).end(fault) else Ending.RELEASED
        case unknown:
            raise TypeError(f"{unknown.kind} does not end a request")
    closes = leaves_unread(injector.switch.capabilities.server, request)
    await abort(send, request, answer, mark((*done, last)) if is_marked else "", closes=closes)
    return None


class Act:
    """What needs the request's connection or the application's answer.

    The request's place among the active faults is its own now.

    Args:
        app: The application.
        injector: Is told what happens.
        plan: What is to be done; what comes before the handler has been.
        request: The request.
        scope: Its scope.
        ahead: What is left of it to be received.
        send: The server's.
        done: What was done before the handler.
        is_marked: Whether answers say what was done.
        given: See `inject`.
    """

    def __init__(
        self,
        app: ASGIApp,
        injector: Injector,
        plan: Plan,
        request: ScopeRequest,
        scope: Scope,
        ahead: ReadAhead,
        send: Send,
        done: Injections,
        *,
        is_marked: bool,
        given: Send,
    ) -> None:
        self._app = app
        self._injector = injector
        self._plan = plan
        self._request = request
        self._scope = scope
        self._ahead = ahead
        self._send = send
        self._is_marked = is_marked
        self._given = given
        self.done = done

    async def __call__(self) -> Ending | None:
        """Do it. None: the request is answered; else the application is to be called, unless the client has gone."""
        stream = feed(self._ahead, self._injector)
        try:
            with self._line(stream) or nullcontext() as line:
                plan = self._possible(line)
                if plan is None or (plan.ending is None and not plan.after):
                    return Ending.OVER
                if plan.ending is not None:
                    ending = await self._end(plan.ending, line)
                    if ending is not Ending.RELEASED or line is None:
                        return ending
                    # What came meanwhile is in the feed.
                    await self._app(self._scope, stream, marked(self._send, self._mark(self.done)))
                    return None
                await self._serve(plan.after, stream, line)
        finally:
            stream.close()
        return None

    def _mark(self, done: Injections) -> str:
        return mark(done) if self._is_marked else ""

    def _line(self, stream: Feed) -> Line | None:
        if CONNECTION_NEEDS.isdisjoint(injection.fault.needs for injection in self._plan.injections):
            return None
        return line_of(
            self._injector,
            self._request,
            self._scope,
            self._ahead.receive,
            self._send,
            feed=stream,
            given=self._given,
        )

    def _possible(self, line: Line | None) -> Plan | None:
        """What can be done of the plan on this connection."""
        refused = [
            injection
            for injection in self._plan.injections
            if injection.fault.needs in CONNECTION_NEEDS and (line is None or not line.can(injection.fault))
        ]
        for injection in refused:
            self._injector.withdrawn(injection, "impossible")
        return self._plan.without(refused) if refused else self._plan

    async def _end(self, last: Injection, line: Line | None) -> Ending | None:
        done, self.done = self.done, (*self.done, last)
        return await _end(
            self._app,
            self._injector,
            last,
            self._request,
            self._scope,
            self._ahead,
            self._send,
            done,
            line,
            is_marked=self._is_marked,
        )

    async def _serve(self, chosen: Injections, stream: Feed, line: Line | None) -> None:
        """Let the application answer a request, or with a response, that something is done to."""
        injector = self._injector
        faults = [injection for injection in chosen if acts_on_response(injection)]
        try:
            scope, receive, chain = self._made(chosen, faults, stream)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            injector.failed("act", error)
            for injection in chosen:
                injector.withdrawn(injection, "impossible")
            chosen, scope, receive, chain = (), self._scope, stream, None
        others = tuple(injection for injection in chosen if not acts_on_response(injection))
        acted, self.done = (*self.done, *others), (*self.done, *chosen)
        for injection in others:
            injector.injected(injection, self._request)
        if chain is None:
            if receive is stream:
                stream.leave()
            await self._app(scope, receive, marked(self._send, self._mark(self.done)))
            return
        may_raise = str(scope.get("asgi", {}).get("spec_version", "2.0")) >= "2.4"
        both = (self._mark(self.done), self._mark(acted))
        shaper = Shaper(
            injector, faults, self._request, chain, stream, line, self._send, marks=both, may_raise=may_raise
        )
        await self._shaped(shaper, without_shortcuts(scope), receive, line)

    def _made(
        self, chosen: Injections, faults: Sequence[Injection], stream: Feed
    ) -> tuple[Scope, Receive, Chain | None]:
        """What the application is to see of the request, and what shapes its response; None: nothing does."""
        clock = self._injector.clocks.monotonic
        edits = [injection.fault for injection in chosen if isinstance(injection.fault, RequestHeaders)]
        pace = pacer(chosen, clock)
        return (
            edited(self._scope, edits) if edits else self._scope,
            stream if pace is None else Paced(stream, pace),
            shape(faults, self._request.method, self._injector.hang_seconds(None), clock),
        )

    async def _shaped(self, shaper: Shaper, scope: Scope, receive: Receive, line: Line | None) -> None:
        """Call the application with a `send` whose stage may hold back what it has sent, whatever comes of the call."""
        raises = line is not None and line.raises
        try:
            await self._app(scope, receive, shaper)
            await shaper.release()
        except Exception as error:
            with suppress(OSError):
                await shaper.release()
            # What we raised ourselves has come back; what the application made of it is of no interest.
            if not shaper.is_cut or not (raises or is_ours(error)):
                raise
        finally:
            shaper.end()
        await shaper.part()
        # An application may make light of a connection that ends; a client in this process must hear of it.
        if shaper.is_cut and raises:
            raise disconnect()
