"""Response faults under ASGI: what the application sends is fed to a chain of stages, and their effects are taken.

Messages leave in a legal order whatever happens: a head once, pieces, one end. When the switch is killed or the client
has left, what is held back goes out at once, and nothing waits any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

import anyio
import anyio.lowlevel

from faultware.asgi.responses import farewell, marked
from faultware.asgi.transport import disconnect
from faultware.core.plan import MARK
from faultware.core.shaping.effects import Cut, Head, Raw, Send, Start, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Message, Scope
    from starlette.types import Send as Sender

    from faultware.asgi.feeding import Feed
    from faultware.asgi.transport import Line
    from faultware.core.faults import RequestHeaders
    from faultware.core.plan import Injection
    from faultware.core.request import Request
    from faultware.core.shaping.chain import Chain
    from faultware.core.shaping.effects import By, Effects
    from faultware.core.shaping.pacing import Pacer
    from faultware.runtime.injector import Injector

# Ways to send a file without showing its bytes: a server's offers, which an application may take or leave.
_UNSEEN: Final = ("http.response.pathsend", "http.response.zerocopysend")


class Shaper:
    """A `send` for the application that feeds a chain of stages.

    Args:
        injector: Is told when the faults begin to act.
        injections: What the stages do.
        request: The request they act on.
        chain: Turns what is sent into effects.
        feed: What the application receives; waits go by it.
        line: Ends the connection; None: no stage asks for that.
        send: The server's.
        marks: The mark of a response on which the faults act, and of one on which they do not come to act, or nothing.
        may_raise: Whether a `send` after the end of the connection raises (ASGI specification, since 2.4).
    """

    def __init__(
        self,
        injector: Injector,
        injections: Sequence[Injection],
        request: Request,
        chain: Chain,
        feed: Feed,
        line: Line | None,
        send: Sender,
        *,
        marks: tuple[str, str],
        may_raise: bool,
    ) -> None:
        self._injector = injector
        self._injections = injections
        self._request = request
        # None: everything passes by.
        self._chain: Chain | None = chain
        self._feed = feed
        self._line = line
        self._send = send
        self._marks = marks
        self._may_raise = may_raise or (line is not None and line.raises)
        # What the application has said, as it came and as stages know it.
        self._message: Message | None = None
        self._head: Head | None = None
        self._is_started = False
        self._is_raw = False
        self._is_released = False
        self._is_complete = False
        self.is_cut = False

    async def __call__(self, message: Message) -> None:
        """What the application sends."""
        if self.is_cut:
            if self._may_raise:
                raise disconnect()
            await anyio.lowlevel.checkpoint()  # somebody else has to see that the client has gone
            return
        kind = message["type"]
        if kind == "http.response.start" and self._message is None:
            await self._start(message)
        elif kind == "http.response.body" and self._message is not None and not self._is_complete:
            await self._body(message)
        else:
            await self._send(message)

    async def release(self) -> None:
        """Let go what is held back, and hold nothing up any more."""
        if self._chain is not None and not (self._is_released or self._is_complete or self.is_cut):
            self._is_released = True
            await self._take(self._chain.release)

    async def part(self) -> None:
        """Once the application is done, finish a response whose head was written past those around us.

        Not right behind the cut: Starlette cancels a stream as soon as it hears that the client has left.
        """
        if self.is_cut and not self._is_started and self._line is not None and not self._line.raises:
            await farewell(self._send)

    def end(self) -> None:
        """The application is done: what has not begun to act by now never will."""
        if self._message is None:
            for injection in self._injections:
                self._injector.withdrawn(injection, self._feed.reason)

    async def _start(self, message: Message) -> None:
        if self._feed.is_over:
            # Too late: what is planned does not come about, and the application goes on as if it were not there.
            self.end()
            self._is_complete = True
            self._message = message
            await marked(self._send, self._marks[1])(message)
            return
        self._message = message
        for injection in self._injections:
            self._injector.injected(injection, self._request)
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
        if self._marks[0]:
            lines.append((MARK, self._marks[0]))
        self._head = Head(message["status"], tuple(lines))
        if self._chain is not None:
            await self._take(self._chain.start, self._head)

    async def _body(self, message: Message) -> None:
        if self._feed.is_over:
            await self.release()
        data = bytes(message.get("body", b""))
        if self._chain is not None and not self.is_cut:
            await self._take(self._chain.feed, data)
        elif data and not self.is_cut:
            await self._send_piece(data)
        if message.get("more_body", False) or self.is_cut:
            return
        if self._chain is not None:
            await self._take(self._chain.finish)
        if not self.is_cut:
            self._is_complete = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _take(self, step: Callable[..., Effects], *given: object) -> None:
        """Take the effects of a step up to the end, the kill of the switch, or the end of the connection."""
        effects: Effects | None = None
        while True:
            try:
                effects = effects or step(*given)
                effect = next(effects, None)
            except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
                self._injector.failed("act", error)
                await self._do_without()
                return
            match effect:
                case None:
                    return
                case Start(head):
                    await self._send_head(head)
                case Send(data):
                    await self._send_piece(data)
                case Wait(until):
                    await self._feed.pause(until)
                    if self._feed.is_over:
                        await self.release()
                        return
                case Raw(data):
                    self._is_raw = True
                    if self._line is not None:
                        await self._line.write(data)
                case Cut(by):
                    await self._cut(by)
                    return
                case _ as unknown:
                    assert_never(unknown)

    async def _do_without(self) -> None:
        """A stage has failed: let go what is held back, if that can be had, and let pass what follows."""
        chain, self._chain = self._chain, None
        if chain is not None and not self._is_released:
            self._is_released = True
            await self._take(chain.release)
        if self._is_raw:  # the server does not know of this response, and nobody else can finish it
            await self._cut("fin")
        elif self._head is not None and not self._is_started:
            await self._send_head(self._head)

    async def _cut(self, by: By) -> None:
        if self._line is None:  # what cuts is never planned without one
            return
        self.is_cut = self._line.raises
        try:
            await self._line.cut(by, at_once=self._is_released)
        finally:
            self.is_cut = self.is_cut or self._line.is_cut
        if not self.is_cut:
            await self.release()

    async def _send_head(self, head: Head) -> None:
        self._is_started = True
        lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
        await self._send({**(self._message or {}), "status": head.status, "headers": lines})

    async def _send_piece(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})


class Paced:
    """A `receive` that hands a body out no faster than a rate.

    Args:
        feed: Where it comes from; waits go by it.
        pacer: Says when.
    """

    def __init__(self, feed: Feed, pacer: Pacer) -> None:
        self._feed = feed
        self._pacer = pacer
        self._message: Message | None = None
        self._offset = 0
        # When the piece that is next may be handed out, once that is known.
        self._due: float | None = None

    async def __call__(self) -> Message:
        """The next piece. If the wait for it is cancelled, whoever asks next gets it."""
        if self._message is None:
            self._message, self._offset = await self._feed(), 0
        message = self._message
        body: bytes = message.get("body", b"")
        if not body:
            self._message = None
            return message
        end = min(self._offset + self._pacer.slice_bytes, len(body))
        if self._due is None:
            self._due = self._pacer.until(end - self._offset)
        await self._feed.pause(self._due)
        self._due = None
        if self._feed.is_over:
            end = len(body)
        piece, self._offset = body[self._offset : end], end
        if end < len(body):
            return {**message, "body": piece, "more_body": True}
        self._message = None
        return {**message, "body": piece}


def edited(scope: Scope, faults: Sequence[RequestHeaders]) -> Scope:
    """A copy of a scope with other headers."""
    headers: list[tuple[bytes, bytes]] = list(scope["headers"])
    for fault in faults:
        gone = {name.lower().encode("latin-1") for name in (*fault.remove, *(name for name, _ in fault.set))}
        headers = [(name, value) for name, value in headers if name.lower() not in gone]
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fault.set]
    return {**scope, "headers": headers}


def without_shortcuts(scope: Scope) -> Scope:
    """A scope without the server's offers to send files past the application: their bytes would not be seen."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    if not any(name in extensions for name in _UNSEEN):
        return scope
    return {**scope, "extensions": {name: value for name, value in extensions.items() if name not in _UNSEEN}}
