"""What the callers of a rate limit have left, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from faultware.core.faults import RateLimit

MAX_CALLERS: Final = 10_000


class Budget:
    """Counts by the generic cell rate algorithm: one number for each caller, and nothing to do while time passes.

    The number is the time at which the caller's budget will be full again. Callers beyond a bound push out those that
    came first.
    """

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}

    def spend(self, limit: RateLimit, caller: str | None, now: float) -> float:
        """Take one request off a caller's budget; else how many seconds pass until there is enough for one.

        Args:
            limit: The budget.
            caller: Who asks; None: nobody that can be told apart, who is not limited.
            now: In seconds, on any clock that goes forward.
        """
        if caller is None:
            return 0.0
        full_at = max(self._full_at.get(caller, now), now) + limit.per_seconds / limit.limit
        # A microsecond of grace: the sum of many shares is not quite the whole.
        missing = full_at - now - limit.per_seconds
        if missing > 1e-6:
            return missing
        if caller not in self._full_at and len(self._full_at) >= MAX_CALLERS:
            self._full_at.pop(next(iter(self._full_at)), None)
        self._full_at[caller] = full_at
        return 0.0
