"""The faults that a request asks for itself, by a signed header.

The header's signature stands for the request's method and path, for a time, and for a nonce; see `faultware.signing`.
What is not signed, cannot be read, comes too late or was seen before is ignored and counted, and the request passes as
if it had no such header. A nonce is remembered by each process until its time is over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from faultware.config.oneline import parse_rules
from faultware.core.faults.phases import Phase
from faultware.core.matching import Match, PathMatch
from faultware.core.ruleset import LiveRule
from faultware.errors import RuleError
from faultware.signing import HEADER, MAX_FAULTS, MAX_LIFETIME_SECONDS, check
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
    """

    header = HEADER

    def __init__(self, key: Callable[[], bytes], allowed: Callable[[Rule], object], wall: Callable[[], float]) -> None:
        super().__init__()
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
        if not lines:
            return None
        tally = self.live.tally
        found = self._read(request, lines)
        if isinstance(found, LiveRule):
            return found
        tally.matched += 1
        tally.suppressed[found] += 1
        return None

    def _read(self, request: Request, lines: tuple[str, ...]) -> LiveRule | str:
        """The rule, or why there is none."""
        asked = check(self._key(), request.method, request.path, lines[0]) if len(lines) == 1 else None
        if asked is None:
            return "unsigned"
        now = self._wall()
        if asked.expires_at <= now:
            return "stale"
        if asked.expires_at > now + MAX_LIFETIME_SECONDS:
            return "long_lived"
        try:
            rule = _rule(asked.faults, request.path)
            self._allowed(rule)
        except RuleError:
            return "unreadable"
        if not self._is_new(asked.nonce, asked.expires_at, now):
            return "replayed"
        return LiveRule(rule, tally=self.live.tally)

    def _is_new(self, nonce: str, expires_at: int, now: float) -> bool:
        """Remember a nonce; False: it is known, or there is no room for it."""
        with self.lock:
            if nonce in self._nonces:
                return False
            if len(self._nonces) >= MAX_NONCES:
                self._nonces = {one: until for one, until in self._nonces.items() if until > now}
            if len(self._nonces) >= MAX_NONCES:
                return False
            self._nonces[nonce] = expires_at
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
