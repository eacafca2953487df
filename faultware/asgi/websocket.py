"""Faults of WebSocket connections: before the handshake, in its place, and while the connection is open."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel

from faultware.asgi.feeding import feed
from faultware.asgi.finding import line_of
from faultware.asgi.requests import ScopeRequest
from faultware.asgi.transport import disconnect, is_ours
from faultware.asgi.waiting import ReadAhead, hold
from faultware.core.faults import Abort, WebsocketClose, WebsocketMessages, WebsocketRefuse
from faultware.core.plan import MARK, mark
from faultware.core.shaping.messages import MessageShaper
from faultware.runtime.holding import Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import TaskGroup
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from faultware.asgi.feeding import Feed
    from faultware.asgi.transport import Line
    from faultware.core.plan import Injection, Plan
    from faultware.runtime.injector import Injector

# What the handshake is refused with where a server has no other way: to the client it is the status 403.
_FORBIDDEN: Final = 403
_POLICY_VIOLATION: Final = 1008
_ABNORMAL: Final = 1006  # RFC 6455, section 7.1.5: never sent, but told


class Handshake(ScopeRequest):
    """A request for a WebSocket, which is a GET (RFC 6455, section 4.1).

    Args:
        scope: Of type `websocket`.
        path: What the application routes by.
    """

    __slots__ = ()

    def __init__(self, scope: Scope, path: str) -> None:
        super().__init__({"method": "GET", **scope}, path)


async def inject_websocket(
    app: ASGIApp,
    injector: Injector,
    plan: Plan,
    request: ScopeRequest,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    is_marked: bool,
) -> None:
    """Serve a WebSocket for which something is planned. Arguments as for `acting.inject`."""
    if not injector.enter(plan, request):
        await app(scope, receive, send)
        return
    ahead = ReadAhead(receive)
    ending, stream = Ending.OVER, None
    try:
        try:
            for injection in plan.before:
                injector.injected(injection, request)
            if plan.delay_seconds:
                ending = await hold(injector, plan.delay_seconds, ahead)
            if ending is Ending.OVER:
                stream = feed(ahead, injector)
        finally:
            if stream is None:
                injector.leave()
        if stream is None:
            for injection in plan.injections[len(plan.before) :]:
                injector.withdrawn(injection, "gone" if ending is Ending.GONE else "killed")
            await (_deny(send) if ending is Ending.GONE else app(scope, ahead, send))
            return
        with _line(injector, plan, request, scope, receive, send, stream) or nullcontext() as line:
            possible = _possible(injector, plan, line)
            after = possible.after if possible is not None else ()
            if possible is not None and possible.ending is not None:
                await _refuse(injector, possible.ending, request, scope, stream, send, is_marked=is_marked)
            elif after:
                connection = Connection(injector, after, request, scope, stream, line, send)
                await connection.serve(app, mark((*plan.before, *after)) if is_marked else "")
            else:
                stream.leave()
                await app(scope, stream, send)
    finally:
        if stream is not None:
            stream.close()
        ahead.close()


def _line(
    injector: Injector, plan: Plan, request: ScopeRequest, scope: Scope, receive: Receive, send: Send, stream: Feed
) -> Line | None:
    if not any(isinstance(injection.fault, WebsocketClose) and injection.fault.by for injection in plan.after):
        return None
    return line_of(injector, request, scope, receive, send, feed=stream)


def _possible(injector: Injector, plan: Plan, line: Line | None) -> Plan | None:
    """What can be done of the plan on this connection."""
    if line is not None:
        return plan
    refused = [one for one in plan.after if isinstance(one.fault, WebsocketClose) and one.fault.by is not None]
    for injection in refused:
        injector.withdrawn(injection, "impossible")
    return plan.without(refused) if refused else plan


async def _refuse(
    injector: Injector,
    injection: Injection,
    request: ScopeRequest,
    scope: Scope,
    stream: Feed,
    send: Send,
    *,
    is_marked: bool,
) -> None:
    """Answer the handshake with a status, where the server can; else with the one status it has."""
    await stream()  # the handshake
    injector.injected(injection, request)
    fault = injection.fault
    status = fault.status if isinstance(fault, WebsocketRefuse) else _FORBIDDEN
    answer = fault if isinstance(fault, Abort) else Abort(status)
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await _deny(send)
        return
    lines = answer.response_headers() + ([(MARK, injection.mark)] if is_marked else [])
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    with suppress(Exception):
        await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": answer.body})


async def _deny(send: Send) -> None:
    # A server may say that nobody listens any more, each in its own way.
    with suppress(Exception):
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})


class Connection:
    """A WebSocket to which something is done while it is open.

    Args:
        injector: Is told what happens.
        injections: What is to be done.
        request: The request that asked for the connection.
        scope: Its scope.
        feed: What the application receives.
        line: Ends the connection; None: nothing asks for that.
        send: The server's.
    """

    def __init__(
        self,
        injector: Injector,
        injections: Sequence[Injection],
        request: ScopeRequest,
        scope: Scope,
        feed: Feed,
        line: Line | None,
        send: Send,
    ) -> None:
        self._injector = injector
        self._request = request
        self._scope = scope
        self._feed = feed
        self._line = line
        self._send = send
        # What has not begun to act yet.
        self._left = list(injections)
        self._closes = [(one, one.fault) for one in injections if isinstance(one.fault, WebsocketClose)]
        shaped = [(one.fault, one.draw) for one in injections if isinstance(one.fault, WebsocketMessages)]
        self._incoming = [MessageShaper(fault, "incoming", draw) for fault, draw in shaped]
        self._outgoing = [MessageShaper(fault, "outgoing", draw) for fault, draw in shaped]
        self._may_raise = str(scope.get("asgi", {}).get("spec_version", "2.0")) >= "2.4"
        self._marks = ""
        self._tasks: TaskGroup | None = None
        self._count = 0
        self._is_open = False
        self._is_closed = False
        self._is_cut = False
        self._message: Message | None = None
        self._due: float | None = None
        self._ready: deque[Message] = deque()
        # Several tasks may send: what waits goes out in the order in which it came, also when the switch is killed.
        self._turn = anyio.Lock()
        # Held while an end waits for the peer: only then is it known what becomes of what the application sends.
        self._cutting = anyio.Lock()

    async def serve(self, app: ASGIApp, marks: str) -> None:
        """Let the application serve the connection; its exceptions come out as they are.

        Args:
            app: The application.
            marks: The mark, or nothing.
        """
        self._marks = marks
        error: Exception | None = None
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                try:
                    await app(self._scope, self._receive, self._pass)
                except Exception as raised:  # noqa: BLE001  (a task group would wrap it)
                    error = raised
                tasks.cancel_scope.cancel()
        finally:
            for injection in self._left:
                self._injector.withdrawn(injection, self._feed.reason)
        if self._is_cut and self._line is not None and self._line.raises:
            raise disconnect()
        if error is not None and not (self._is_closed and is_ours(error)):
            raise error

    async def _receive(self) -> Message:
        """What the application receives. If it gives up waiting, the next call gets what was in hand."""
        while not self._ready:
            if self._message is None:
                self._message = await self._feed()
            message = self._message
            if message["type"] == "websocket.receive" and self._acts:
                if self._due is None:
                    self._due = self._feed.now() + _delay(self._incoming)
                await self._feed.pause(self._due)
                self._due = None
                self._ready.extend(_shaped(self._incoming, message))
                self._message = None
                await self._passed()
            else:
                self._ready.append(message)
                self._message = None
        return self._ready.popleft()

    async def _pass(self, message: Message) -> None:
        """What the application sends."""
        kind = message["type"]
        if kind == "websocket.accept" and not self._is_open and not self._feed.is_over:
            await self._open(message)
        elif kind == "websocket.send":
            due = self._feed.now() + _delay(self._outgoing)
            # Whoever waits for nobody is not to be held up here.
            await self._turn.acquire() if self._turn.locked() else self._turn.acquire_nowait()
            try:
                await self._say(message, due)
            finally:
                self._turn.release()
        else:
            await self._server_send(message)
            self._is_open = False

    async def _say(self, message: Message, due: float) -> None:
        if not self._acts:
            await self._server_send(message)
            return
        await self._feed.pause(due)
        for one in _shaped(self._outgoing, message):
            await self._server_send(one)
        await self._passed()

    @property
    def _acts(self) -> bool:
        return self._is_open and not self._is_closed and not self._feed.is_over

    async def _server_send(self, message: Message) -> None:
        if self._cutting.locked():  # who comes later does not overtake those who wait already
            async with self._cutting:
                pass
        if not self._is_closed:
            await self._send(message)
        elif self._may_raise:
            raise disconnect()
        else:
            await anyio.lowlevel.checkpoint()  # somebody else has to see that the client has gone

    async def _open(self, message: Message) -> None:
        headers = [*message.get("headers", ())]
        if self._marks:
            headers.append((MARK.encode("latin-1"), self._marks.encode("latin-1")))
        await self._send({**message, "headers": headers})
        self._is_open = True
        for injection in [one for one in self._left if isinstance(one.fault, WebsocketMessages)]:
            self._begin(injection)
        for injection, fault in self._closes:
            if fault.after_seconds is not None and self._tasks is not None:
                self._tasks.start_soon(self._close_at, self._feed.now() + fault.after_seconds, injection, fault)
        await self._passed(0)

    async def _passed(self, number: int = 1) -> None:
        """So many messages more have come through, in whichever direction."""
        self._count += number
        for injection, fault in self._closes:
            is_at_once = fault.after_messages is None and fault.after_seconds is None
            if is_at_once or (fault.after_messages is not None and self._count >= fault.after_messages):
                await self._close(injection, fault)

    async def _close_at(self, until: float, injection: Injection, fault: WebsocketClose) -> None:
        await self._feed.pause(until)
        await self._close(injection, fault)

    async def _close(self, injection: Injection, fault: WebsocketClose) -> None:
        if not self._acts:
            return
        self._is_closed = True
        if self._line is not None and fault.code is None and not self._line.raises:
            await self._cut(self._line, injection, fault)
            return
        self._is_cut = fault.code is None and self._line is not None
        try:
            if fault.code is not None:
                await self._feed.stop()
                with suppress(Exception):  # a client that has just left, or a code that this server does not send
                    await self._send({"type": "websocket.close", "code": fault.code, "reason": fault.reason})
        finally:  # also if whoever waits for it here gives up: the application would wait for its end for ever
            self._finish(injection, fault)

    async def _cut(self, line: Line, injection: Injection, fault: WebsocketClose) -> None:
        async with self._cutting:
            try:
                await line.cut(fault.by or "fin")
            finally:
                # False: the switch was killed, or whoever waits here gives up, and the next message tries again.
                self._is_closed = self._is_cut = line.is_cut
                if line.is_cut:
                    self._finish(injection, fault)

    def _finish(self, injection: Injection, fault: WebsocketClose) -> None:
        """The connection has ended, and the application is told."""
        self._begin(injection)
        if not self._feed.gone:
            code = _ABNORMAL if fault.code is None else fault.code
            self._feed.finish({"type": "websocket.disconnect", "code": code, "reason": fault.reason})

    def _begin(self, injection: Injection) -> None:
        self._left.remove(injection)
        self._injector.injected(injection, self._request)


def _delay(shapers: Sequence[MessageShaper]) -> float:
    return sum(shaper.delay_seconds for shaper in shapers)


def _shaped(shapers: Sequence[MessageShaper], message: Message) -> list[Message]:
    key = "text" if message.get("bytes") is None else "bytes"
    contents: list[bytes | str] = [message.get(key) or ""]
    for shaper in shapers:
        contents = [shaped for content in contents for shaped in shaper.shape(content)]
    return [{**message, key: content} for content in contents]
