"""The faults that a request asks for itself, by a signed header, or for one further on, by a member of its baggage.

The signature stands for the method and path of the request that is meant, for a time, and for a nonce; see
`faultware.signing`. What is not signed, cannot be read, comes too late or was seen before is ignored and counted, and
the request passes as if it had no such header. A nonce is remembered by each process until its time is over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from faultware.config.oneline import parse_rules
from faultware.core.faults.phases import Phase
from faultware.core.matching import Match, PathMatch
from faultware.core.ruleset import LiveRule
from faultware.errors import RuleError
from faultware.propagation import BAGGAGE, member
from faultware.signing import HEADER, MAX_FAULTS, MAX_LIFETIME_SECONDS, Asked, Errand, check, check_errand
from faultware.telemetry.forking import ForkAware

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.core.request import Request
    from faultware.core.rules import Rule

NAME: Final = "signed-request"
MAX_NONCES: Final = 10_000


class SignedRequests(ForkAware):
    """Finds the rule that a request brings along.

    Args:
        key: Gives the key.
        allowed: Raises a `RuleError` for a rule that is not possible here.
        wall: The time in seconds since the epoch.
        carries: Whether baggage is looked at, too.
    """

    def __init__(
        self,
        key: Callable[[], bytes],
        allowed: Callable[[Rule], object],
        wall: Callable[[], float],
        *,
        carries: bool = False,
    ) -> None:
        super().__init__()
        self.headers = frozenset({HEADER, BAGGAGE}) if carries else frozenset({HEADER})
        self.carries = carries
        self._key = key
        self._allowed = allowed
        self._wall = wall
        self._nonces: dict[str, int] = {}
        # What all such requests are counted in, whatever they ask for.
        (rule,) = parse_rules(f"/ 0% abort 503 as {NAME}")
        self.live = LiveRule(rule)

    def find(self, request: Request) -> LiveRule | None:
        """The rule that a request asks for, which matches it alone; None: it is ignored, and counted."""
        lines = request.header(HEADER)
        asked = self._counted(self._read(request, lines)) if lines else None
        if asked is not None or not self.carries:
            return asked
        errand = self._errand(request)
        if isinstance(errand, Errand):
            return self._counted(self._rule(errand.asked, request)) if _is_meant(errand, request) else None
        return self._counted(errand) if errand else None

    def carry(self, request: Request) -> Callable[[], str] | None:
        """What a request brings along for another one further on: gives the member of the baggage for a call.

        What cannot be heard is counted by `find`, which is asked first.
        """
        errand = self._errand(request)
        if not isinstance(errand, Errand) or _is_meant(errand, request) or not errand.hops:
            return None
        try:
            # Whether it is possible is for others to know. That it can be read at all is for everybody who signs it.
            _rule(errand.asked.faults, errand.path)
        except RuleError:
            self._counted("unreadable")
            return None
        if not self._is_new(errand.asked, self._wall()):
            self._counted("replayed")
            return None

        def current() -> str:
            return errand.passed_on(self._key()) if self._wall() < errand.asked.expires_at else ""

        return current

    def _counted(self, found: LiveRule | str) -> LiveRule | None:
        if isinstance(found, LiveRule):
            return found
        self.live.tally.matched += 1
        self.live.tally.suppressed[found] += 1
        return None

    def _read(self, request: Request, lines: tuple[str, ...]) -> LiveRule | str:
        """The rule in a header, or why there is none."""
        asked = check(self._key(), request.method, request.path, lines[0]) if len(lines) == 1 else None
        if asked is None:
            return "unsigned"
        return self._untimely(asked) or self._rule(asked, request)

    def _errand(self, request: Request) -> Errand | str:
        """What the baggage brings, or why that is not heard; empty: it brings nothing."""
        value = member(request.header(BAGGAGE))
        if value is None:
            return ""
        errand = check_errand(self._key(), value)
        return "unsigned" if errand is None else self._untimely(errand.asked) or errand

    def _untimely(self, asked: Asked) -> str:
        now = self._wall()
        if asked.expires_at <= now:
            return "stale"
        return "long_lived" if asked.expires_at > now + MAX_LIFETIME_SECONDS else ""

    def _rule(self, asked: Asked, request: Request) -> LiveRule | str:
        """The rule that is asked for, if it is possible here and asked for the first time; else why not."""
        if asked.nonce in self._nonces:  # before anything is read: whoever has seen a header can send it without end
            return "replayed"
        try:
            rule = _rule(asked.faults, request.path)
            self._allowed(rule)
        except RuleError:
            return "unreadable"
        return LiveRule(rule, tally=self.live.tally) if self._is_new(asked, self._wall()) else "replayed"

    def _is_new(self, asked: Asked, now: float) -> bool:
        """Remember a nonce; False: it is known, or there is no room for it."""
        with self.lock:
            if asked.nonce in self._nonces:
                return False
            if len(self._nonces) >= MAX_NONCES:
                self._nonces = {one: until for one, until in self._nonces.items() if until > now}
            if len(self._nonces) >= MAX_NONCES:
                return False
            self._nonces[asked.nonce] = asked.expires_at
            return True


def _rule(faults: str, path: str) -> Rule:
    """A rule that does these faults to this path, and nothing that is more than a fault of one request."""
    if len(faults) > MAX_FAULTS:
        raise RuleError("this is too long")
    (rule, *others) = parse_rules(f"/ 100% {faults}")
    is_more = others or rule.count is not None or rule.lifetime_seconds is not None or rule.name != rule.derived_name()
    if is_more or rule.is_websocket or any(fault.phase is Phase.INSTANCE for fault in rule.everything):
        raise RuleError("this is more than faults of one request")
    return replace(rule, name=NAME, match=Match(path=PathMatch(exact=path)))


def _is_meant(errand: Errand, request: Request) -> bool:
    return (errand.method, errand.path) == (request.method, request.path)
