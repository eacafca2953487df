"""The fault request that a request brought along in its baggage, for the calls that are made while it is served.

An application that wants to pass it on says so with each call:

    httpx.post(url, headers=outgoing({"accept": "application/json"}))

Whether anything is passed on, the middleware decides: it is, while a request is served whose baggage brought a signed
fault request that is meant for somebody further on, and only with `FAULTWARE_FAULT_PROPAGATION`. Nobody else pays.
Source: W3C Baggage, Working Draft of 2024, sections 3.2 and 3.3. Imports nothing of faultware but `signing`.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from faultware.signing import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextvars import Token

__all__ = ["BAGGAGE", "MAX_BYTES", "MAX_MEMBERS", "Carrying", "member", "outgoing"]

BAGGAGE: Final = "baggage"
# What everybody has to pass on, and what we read.
MAX_MEMBERS: Final = 64
MAX_BYTES: Final = 8192


class Carrying:
    """While this is entered, calls carry a member of the baggage; afterwards they do not, whoever still makes some.

    Args:
        current: The value of the member as it is to be passed on now; empty: nothing is.
    """

    __slots__ = ("_current", "_token")

    def __init__(self, current: Callable[[], str]) -> None:
        self._current: Callable[[], str] | None = current
        self._token: Token[Carrying | None] | None = None

    def begin(self) -> None:
        """Carry it, in this context and those that are copied from it."""
        self._token = _carrying.set(self)

    def end(self) -> None:
        """Carry it no more, wherever it has got to."""
        self._current = None
        # A server may close a response in another context than the one in which it began.
        with suppress(ValueError, RuntimeError):
            if self._token is not None:
                _carrying.reset(self._token)

    def value(self) -> str:
        """What is to be passed on now."""
        current = self._current
        return "" if current is None else current()


_carrying: ContextVar[Carrying | None] = ContextVar("faultware_carrying", default=None)


def outgoing(headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Headers for a call: those given, and the fault request that is to be passed on with it, if there is one.

    Call it for each call anew. A `baggage` among the headers is kept, but for a fault request in it: that one is put in
    anew, with one hop less, or left out where there is nothing to pass on any more. It is left out, too, where it would
    make the baggage longer than everybody has to pass on (64 members, 8192 bytes).
    """
    given = dict(headers or {})
    lines = [given.pop(name) for name in list(given) if name.lower() == BAGGAGE]
    members = [one for one in _members(lines) if one and not _is_ours(one)]
    carrying = _carrying.get()
    if carrying is not None and (value := carrying.value()):
        together = [*members, f"{HEADER}={value}"]
        if len(together) <= MAX_MEMBERS and len(",".join(together).encode()) <= MAX_BYTES:
            members = together
    if members:
        given[BAGGAGE] = ",".join(members)
    return given


def member(lines: Iterable[str]) -> str | None:
    """The value of the fault request in the lines of a header, without its properties; None: there is none.

    Of several, which nobody sends who means well, none is good: the value is empty. What stands beyond the limits is
    not read.
    """
    text = ",".join(lines)
    if HEADER not in text:
        return None
    # Split no further: thousands of commas would cost more than everything else that is done to a request.
    found = [one for one in map(_trimmed, text[:MAX_BYTES].split(",", MAX_MEMBERS)[:MAX_MEMBERS]) if _is_ours(one)]
    if not found:
        return None
    return found[0].partition("=")[2].partition(";")[0].strip(" \t") if len(found) == 1 else ""


def _members(lines: Iterable[str]) -> list[str]:
    # Neither a value nor a property can hold a comma (section 3.2.1.1).
    return [_trimmed(one) for one in ",".join(lines).split(",")]


def _trimmed(one: str) -> str:
    return one.strip(" \t")


def _is_ours(one: str) -> bool:
    name, equals, _ = one.partition("=")
    return bool(equals) and name.rstrip(" \t") == HEADER
