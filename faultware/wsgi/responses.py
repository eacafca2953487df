"""The answers by which faultware stands in for an application, and the mark on what the application answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from faultware.core.plan import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from faultware.core.faults import Abort


def abort(start_response: StartResponse, method: str, fault: Abort, marks: str) -> list[bytes]:
    """Answer in the application's place; an empty mark is left out."""
    headers = fault.response_headers() + ([(MARK, marks)] if marks else [])
    start_response(f"{fault.status} {reason(fault.status)}", headers)
    body = fault.response_body(method)
    return [body] if body else []


def farewell(start_response: StartResponse) -> list[bytes]:
    """Finish a request whose client has left.

    The bytes go nowhere; 499 is what nginx writes into its log for such a request.
    """
    start_response("499 Client Closed Request", [("Content-Length", "0")])
    return []


def lose(
    app: WSGIApplication,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    is_off: Callable[[], bool],
    is_over: Callable[[], bool],
) -> Iterable[bytes] | None:
    """Let the application answer, to the end, and lose the answer.

    Args:
        app: The application.
        environ: Of the request.
        start_response: Where the answer goes if it is not lost.
        is_off: Whether it is not to be lost after all. Asked once the application has returned.
        is_over: Whether nobody waits for the rest. Asked behind each piece: a stream may have no end of its own.

    Returns:
        The answer, if it was not lost.
    """
    said: list[tuple[str, list[tuple[str, str]]]] = []
    passes = is_begun = False
    through: Callable[[bytes], object] | None = None

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        if passes:
            return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)
        said[:] = [(status, headers)]
        return write

    def write(data: bytes, /) -> None:
        nonlocal is_begun
        if through is not None:
            through(data)
        is_begun = is_begun or bool(data)

    iterable = app(environ, start)
    try:
        if is_off() and not is_begun:
            for status, headers in said:
                through = start_response(status, headers)
            passes = True
            return iterable
        for _ in iterable:
            if is_over():
                break
    finally:
        close = None if passes else getattr(iterable, "close", None)
        if close is not None:
            close()
    return None


def marked(start_response: StartResponse, marks: str) -> StartResponse:
    """A `start_response` that adds the mark to the head of the response; an empty one is left out."""
    if not marks:
        return start_response

    def start_marked(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        lines = [*headers, (MARK, marks)]
        return start_response(status, lines) if exc_info is None else start_response(status, lines, exc_info)

    return start_marked


class Attended:
    """An application's iterable, at whose end something is done, once.

    Args:
        leave: What is done once the server closes it.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave
        self._iterable: Iterable[bytes] = ()

    def answer(self, app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let the application answer."""
        try:
            self._iterable = app(environ, start_response)
        except BaseException:
            self.close()
            raise
        return self

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._iterable
        except BaseException:  # not every server closes what has raised (cheroot)
            self.close()
            raise

    def close(self) -> None:
        """As of the application's."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
        iterable, self._iterable = self._iterable, ()
        close = getattr(iterable, "close", None)
        if close is not None:
            close()


def status_of(line: str) -> tuple[int, str]:
    """The number and the phrase of an application's status; 0: there is no number, which some servers allow."""
    code, _, phrase = line.partition(" ")
    return (int(code) if code.isascii() and code.isdigit() else 0), phrase


def reason(status: int) -> str:
    """The customary reason phrase."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Injected"
