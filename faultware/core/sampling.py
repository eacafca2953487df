"""How often a rule acts: a percentage, a count, every Nth; by dice, by seed, or by who asks.

All chance of the package passes through `Dice`. Comparison is `draw * 100 < percentage` with a draw from [0, 1):
0 never acts and 100 always does, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, get_args

from faultware.core.quantities import is_number
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faultware.core.request import Request

KeySource: TypeAlias = Literal["header", "cookie", "query", "client"]
# From and to, in percent; the end does not belong to it.
Part: TypeAlias = tuple[float, float]
WHOLE: Final[Part] = (0.0, 100.0)


def check_percentage(value: float, where: str = "percentage") -> float:
    """Check a share of 0 to 100.

    Raises:
        RuleError: It is no number, or lies outside 0 to 100.
    """
    if not is_number(value):
        raise RuleError(f"{value!r} is not a percentage", where=where, hint="a number from 0 to 100")
    if not 0 <= value <= 100:
        raise RuleError(f"{value!r} is not a percentage", where=where, hint="a percentage lies between 0 and 100")
    return float(value)


def check_part(value: Sequence[float]) -> Part:
    """Check a part of the draw that the rules of a group have in common.

    Raises:
        RuleError: It is no pair of percentages, or the second is not above the first.
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise RuleError(f"{value!r} is not a part", where="part", hint="from and to, in percent: [10, 30]")
    begin, end = (check_percentage(one, "part") for one in value)
    if begin >= end:
        raise RuleError(f"there is nothing from {begin:g} to {end:g}", where="part", hint="the lesser one first")
    return begin, end


class Untaken:
    """What is left of the draws of groups, whose rules exclude each other: of what matches, the first takes it."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: dict[str, list[Part]] = {}

    def take(self, group: str, part: Part | None) -> float:
        """How much, 0 to 1, falls to a rule that matches. All of it, if it is in no group."""
        if not group:
            return 1.0
        begin, end = part or WHOLE
        left = self._left.get(group, [WHOLE])
        pieces = [piece for low, high in left for piece in ((low, min(high, begin)), (max(low, end), high))]
        self._left[group] = [(low, high) for low, high in pieces if low < high]
        return sum(max(0.0, min(high, end) - max(low, begin)) for low, high in left) / 100


@dataclass(frozen=True, slots=True)
class SampleBy:
    """What a decision sticks to: all requests with the same key are decided alike, in every process.

    Args:
        source: header, cookie, query or client.
        name: The header's, cookie's or query field's name; empty for client.
    """

    source: KeySource
    name: str = ""

    def __post_init__(self) -> None:
        if self.source not in get_args(KeySource):
            hint = "one of header:NAME, cookie:NAME, query:NAME, client"
            raise RuleError(f"{self.source!r} is no source of a key", where="sample_by", hint=hint)
        if not isinstance(self.name, str):
            raise RuleError(f"{self.name!r} is not a name", where="sample_by", hint=f"write {self.source}:NAME")
        if self.source == "client" and self.name:
            raise RuleError("client takes no name", where="sample_by", hint="write client")
        if self.source != "client" and not self.name:
            raise RuleError(f"{self.source} needs a name", where="sample_by", hint=f"write {self.source}:NAME")
        if self.source == "header":
            object.__setattr__(self, "name", self.name.lower())

    @classmethod
    def parse(cls, text: str) -> SampleBy:
        """Read `header:x-user-id`, `cookie:session`, `query:user` or `client`."""
        source, _, name = text.partition(":")
        return cls(cast("KeySource", source), name)

    def __str__(self) -> str:
        return f"{self.source}:{self.name}" if self.name else self.source

    def key(self, request: Request) -> str | None:
        """The key of a request, or None when it has none."""
        match self.source:
            case "client":
                return request.client or None
            case "header":
                values = request.headers.get(self.name)
            case "cookie":
                values = request.cookies.get(self.name)
            case "query":
                values = request.query.get(self.name)
        return values[0] if values else None


class Dice:
    """Where chance comes from.

    Args:
        random: Gives an even draw from [0, 1) at each call.
        seed: When given, a draw is a function of seed, rule, purpose and request, the same in every process.
    """

    __slots__ = ("_seed", "is_seeded", "random")

    def __init__(self, random: Callable[[], float], seed: int | None = None) -> None:
        # A roll that depends on nothing; with a seed there is no such thing.
        self.random = random
        self.is_seeded = seed is not None
        self._seed = seed

    def roll(self, rule: str, purpose: str, key: str | None, request: Request) -> float:
        """An even draw from [0, 1).

        Args:
            rule: The rule's name, so that rules do not act on the same requests.
            purpose: What is rolled for within the rule, so that its faults are independent.
            key: What the decision sticks to, or None.
            request: Gives the key of a seeded decision that sticks to nothing: method, path and query.
        """
        if key is None:
            if self._seed is None:
                return self.random()
            key = f"{request.method} {request.path}?{request.query_string}"
        seed = "" if self._seed is None else str(self._seed)
        text = f"{seed}\x1f{rule}\x1f{purpose}\x1f{key}".encode("utf-8", "surrogatepass")
        # 53 bits, as many as a float holds: more would round up to 1 now and then.
        return (int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 11) / 2**53
