"""Keeps a request from being decided for twice where an ASGI application calls a WSGI one, and both are wrapped.

Within one protocol the outer middleware leaves a mark in the scope or the environment. What calls WSGI under ASGI
(Starlette's and a2wsgi's `WSGIMiddleware`, asgiref's `WsgiToAsgi`) makes an environment of its own, in a thread of its
own, but in a copy of the context: so the mark is left there. The application may call other services in that context,
too; so the mark tells the request as well as what is left of it further in. Where only one protocol is wrapped, nobody
pays for it.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from contextvars import Token


class Decided(NamedTuple):
    """A request that was decided for, by what it has in common with itself further in.

    Args:
        method: As it was sent.
        path: Whole; a mount takes its beginning off.
        query_string: Not decoded.
        host: The header; empty: there is none.
    """

    method: str
    path: str
    query_string: str
    host: str


_decided: Final[ContextVar[Decided | None]] = ContextVar("faultware_decided", default=None)


class Nesting:
    """Which protocols have a middleware in this process."""

    __slots__ = ("_protocols", "is_possible")

    def __init__(self) -> None:
        self._protocols: set[str] = set()
        self.is_possible = False

    def add(self, protocol: str) -> None:
        """A middleware for a protocol was made."""
        self._protocols.add(protocol)
        self.is_possible = {"asgi", "wsgi"} <= self._protocols


NESTING: Final = Nesting()


def enter(request: Decided) -> Token[Decided | None]:
    """From here on, in this context and those that are copied from it, this request has been decided for."""
    return _decided.set(request)


def leave(token: Token[Decided | None]) -> None:
    """The request is over."""
    # A call that nobody awaits any more is closed in another context than the one in which it began.
    with suppress(ValueError):
        _decided.reset(token)


def decided() -> Decided | None:
    """The request around this one that was decided for, if there is one."""
    return _decided.get()
