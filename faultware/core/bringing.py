"""What a request can bring along: a rule for itself, or something for the calls that are made while it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.core.request import Request
    from faultware.core.ruleset import LiveRule


class Asking(Protocol):
    """Finds what a request brings along, in which headers; `carries` says whether also for others."""

    headers: frozenset[str]
    live: LiveRule
    carries: bool

    def find(self, request: Request) -> LiveRule | None:
        """The rule, if there is one; it counts into the tally of `live`."""
        ...

    def carry(self, request: Request) -> Callable[[], str] | None:
        """What a request, for which `find` has been asked, brings along for the calls that are made for it."""
        ...
