"""An application's response on its way through a chain of stages, whose effects are taken one after the other.

The application is called, and its response followed up to the first piece of its body, before the server gets anything:
the head is complete then, as some servers take for granted. From there on the server's own iteration drives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from faultware.core.plan import MARK
from faultware.core.shaping.effects import Cut, Head, Raw, Send, Start, Wait, may_have_body
from faultware.runtime.holding import Ending
from faultware.wsgi.responses import farewell, reason, status_of
from faultware.wsgi.transport import part
from faultware.wsgi.waiting import Hold

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from faultware.core.plan import Injection
    from faultware.core.request import Request
    from faultware.core.shaping.chain import Chain
    from faultware.core.shaping.effects import By, Effects
    from faultware.runtime.injector import Injector
    from faultware.wsgi.transport import Connection


class Shaped:
    """What the server iterates in place of the application's iterable.

    It closes the application's iterable once, when the server closes it, or before a connection is given up.

    Args:
        injector: Counts, and knows the time.
        injections: The faults of the response.
        chain: What they do.
        marks: The mark of a response on which the faults act, and of one on which they do not come to act.
        request: As rules see it.
        environ: Of the request.
        start_response: The server's.
        connection: Of the request. It is this object's now.
        leave: Gives the request's place among the active faults back.
    """

    def __init__(
        self,
        injector: Injector,
        injections: tuple[Injection, ...],
        chain: Chain,
        marks: tuple[str, str],
        *,
        request: Request,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        connection: Connection,
        leave: Callable[[], None],
    ) -> None:
        self._injector = injector
        self._injections = injections
        # None: everything passes by.
        self._chain: Chain | None = chain
        self._marks = marks
        self._request = request
        self._environ = environ
        self._start_response = start_response
        self._connection = connection
        self._leave = leave
        self._held = Hold(injector, environ)
        self._clock = injector.clocks.monotonic
        self._patience = injector.hang_seconds(None)
        self._method = request.method
        self._is_bodiless = False
        # What the application has said, until it is too late to say something else.
        self._head: tuple[str, list[tuple[str, str]]] | None = None
        self._is_taken = self._is_begun = self._is_sent = self._is_raw = self._is_over = False
        # Whether the switch may still release it.
        self._is_held = True
        self._write_through: Callable[[bytes], object] | None = None
        self._iterable: Iterable[bytes] | None = None
        self._is_closed = self._is_let_go = False
        self._pieces = self._run()
        self._first: bytes | None = None

    def answer(self, app: WSGIApplication) -> Iterable[bytes]:
        """Call the application, and follow its response up to the first piece of its body."""
        try:
            self._iterable = app(self._environ, self._start)
            if self._is_over:  # in the middle of a write(), and the application did not mind
                self._give_up()
            self._first = next(self._pieces, None)
        except BaseException:
            self.close()
            raise
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._pieces) if first is None else first

    def close(self) -> None:
        """Close the application's iterable; afterwards nothing of the fault is left."""
        self._pieces.close()
        self._let_go()
        self._close_application()

    # What the application says.

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        """As of a server's: what was said before holds only until a body begins (PEP 3333)."""
        if self._head is not None and exc_info is None:
            raise AssertionError("start_response was called twice")
        if self._is_taken and exc_info is not None:
            try:
                raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        self._head = (status, list(headers))
        return self._write

    def _write(self, data: bytes) -> None:
        for piece in self._feed(data):
            if self._write_through is None:
                raise TypeError("start_response of this server gives no write()")
            self._write_through(piece)

    # What becomes of it.

    def _run(self) -> Generator[bytes, None, None]:
        try:
            dropped = 0
            for data in self._iterable or ():
                is_dropped = bool(data)
                for piece in self._feed(data) if data else ():
                    is_dropped = False
                    yield piece
                if self._is_over:
                    return
                # A stream may have no end of its own, and the server notices a client that leaves only when it writes.
                dropped += is_dropped
                if is_dropped and dropped > 1:
                    self._push()
                    if self._held.has_left():
                        self._leave_alone()
                        return
            yield from self._finish()
        finally:
            self._let_go()

    @property
    def _is_off(self) -> bool:
        return self._held.is_released or self._injector.is_stopped

    def _feed(self, data: bytes) -> Iterator[bytes]:
        """One piece of the application's body."""
        yield from self._take_head()
        if self._chain is not None and self._is_held and self._is_off:
            yield from self._release()
        if self._is_over:
            return
        if self._chain is None:
            yield data
        else:
            yield from self._take(self._chain.feed, data)

    def _finish(self) -> Iterator[bytes]:
        """The application's body is complete."""
        yield from self._take_head()
        if self._chain is not None and not self._is_over:
            yield from self._take(self._chain.finish)

    def _take_head(self) -> Iterator[bytes]:
        """What the application has said holds from now on; here the faults begin to act, unless it is too late."""
        if self._is_taken:
            return
        self._is_taken = True
        head = None if self._head is None else _head_of(*self._head)
        if head is None or self._is_off or self._chain is None:
            self._withdraw("unanswered" if head is None else "killed")
            self._chain = None
            self._let_go()
            if self._head is not None:
                self._begin(*self._head, mark=self._marks[1])
            return
        for injection in self._injections:
            self._injector.injected(injection, self._request)
        if self._marks[0]:
            head = head.with_line(MARK, self._marks[0])
        yield from self._take(self._chain.start, head)

    def _take(self, step: Callable[..., Effects], *given: object) -> Iterator[bytes]:
        """Take the effects of a step up to the end, the kill of the switch, or the end of the connection."""
        effects: Effects | None = None
        while True:
            try:
                effects = effects or step(*given)
                effect = next(effects, None)
            except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
                self._injector.failed("act", error)
                yield from self._release(for_good=True)
                return
            ending = Ending.OVER
            match effect:
                case None:
                    return
                case Start(head):
                    self._begin(f"{head.status} {head.reason or reason(head.status)}", list(head.headers))
                    self._is_bodiless = not may_have_body(self._method, head.status)
                case Send(data):
                    if not self._is_bodiless:
                        self._is_sent = True
                        yield data
                case Wait(until):
                    self._push()
                    ending = self._held.wait(until - self._clock())
                case Raw(data):
                    pause = self._held.pause
                    ending = Ending.OVER if self._is_raw else self._connection.settle(pause, self._patience)
                    self._is_raw = True
                    if ending is Ending.OVER:
                        ending = self._connection.write(data, pause, self._patience)
                case Cut(by):
                    self._push()
                    pause = self._held.pause if self._is_raw else self._held.wait
                    ending = self._connection.drain(pause, self._patience)
                    if ending is not Ending.RELEASED:
                        self._end(by)
                        return
                case _ as unknown:
                    assert_never(unknown)
            if ending is Ending.GONE:
                self._leave_alone()
                return
            if ending is Ending.RELEASED and self._is_held:
                yield from self._release()
                return

    def _release(self, *, for_good: bool = False) -> Iterator[bytes]:
        """Let go what is held back; what follows passes by, past a chain that has failed."""
        chain, self._is_held = self._chain, False
        if for_good:
            self._chain = None
        if not self._is_raw:
            self._let_go()
        if chain is not None:
            yield from self._take(chain.release)
        if for_good and self._head is not None and not (self._is_begun or self._is_raw or self._is_over):
            self._begin(*self._head, mark=self._marks[0])

    def _begin(self, status: str, headers: list[tuple[str, str]], *, mark: str = "") -> None:
        self._is_begun = True
        if mark:
            headers = [*headers, (MARK, mark)]
        self._write_through = self._start_response(status, headers)

    def _push(self) -> None:
        """Have the server send the head, with which it would wait for the first piece of the body."""
        if self._is_begun and not self._is_sent and self._write_through is not None:
            self._is_sent = True
            self._write_through(b"")

    def _end(self, by: By) -> None:
        try:
            self._connection.end(by)
        except OSError as error:
            self._injector.failed("act", error)
        self._give_up()

    def _leave_alone(self) -> None:
        """The client has gone."""
        if self._is_begun or self._is_raw:
            self._give_up()
        else:
            self._is_over = self._is_begun = True
            farewell(self._start_response)

    def _give_up(self) -> None:
        """The connection has ended; raises what this server takes for that."""
        self._is_over = True
        self._chain = None
        self._let_go()
        # Not every server closes what has raised (cheroot).
        self._close_application()
        is_first, self._is_begun = not self._is_begun, True
        part(self._environ, self._start_response if is_first else None)

    def _withdraw(self, why: str) -> None:
        injections, self._injections = self._injections, ()
        for injection in injections:
            self._injector.withdrawn(injection, why)

    def _let_go(self) -> None:
        """Nothing more is done to the response."""
        if self._is_let_go:
            return
        self._is_let_go = True
        if not self._is_taken:
            self._withdraw("unanswered")
        self._held.end()
        self._connection.close()
        self._leave()

    def _close_application(self) -> None:
        if self._is_closed or self._iterable is None:
            return
        self._is_closed = True
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()


def _head_of(status: str, headers: list[tuple[str, str]]) -> Head | None:
    """A head as stages know it; None: the status is none."""
    number, phrase = status_of(status)
    return Head(number, tuple(headers), phrase) if number else None
