"""A rule: when (a match), how often (a percentage) and what (faults)."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faultware.core.faults import Abort, Delay, Fault, Hang, Phase, Raise
from faultware.core.matching import Match
from faultware.core.rendering import rule_document, rule_line
from faultware.core.sampling import SampleBy, check_percentage
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
NAME_HINT = "lower-case letters, digits, - and _, beginning with a letter, at most 63"
MAX_COUNT = 10**9
MAX_LIFETIME = 366 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to a share of the requests that match. Prints itself in the one-line form where it can.

    Args:
        name: Unique; lower-case letters, digits, `-` and `_`. Empty: derived from the rule's content.
        match: Which requests; every request when left out.
        percentage: 0 to 100, rolled once for the rule; each fault then rolls its own percentage.
        delay: Holds the request first.
        abort: Answers in the application's place.
        raise_: Raises a registered exception in the application's place.
        hang: Never answers.
        count: Acts at most so many times in each process. Chance is drawn first; the count falls only on a hit.
        every: Of the matching requests of each process, only every so-manieth takes part.
        sample_by: What the decision sticks to; a request without that key is left alone.
        group: Of the rules with one group only the first that matches takes part, whether it acts or not. So a rule of
            a group may have no fault: what it matches is spared the rest of the group.
        lifetime_seconds: How long the rule lives once it is loaded.

    Raises:
        RuleError: No fault, two that end the request, a bad name, a number out of its range.
    """

    name: str = ""
    match: Match = field(default_factory=Match)
    percentage: float = field(kw_only=True)
    delay: Delay | None = field(default=None, kw_only=True)
    abort: Abort | None = field(default=None, kw_only=True)
    raise_: Raise | None = field(default=None, kw_only=True)
    hang: Hang | None = field(default=None, kw_only=True)
    count: int | None = field(default=None, kw_only=True)
    every: int | None = field(default=None, kw_only=True)
    sample_by: SampleBy | None = field(default=None, kw_only=True)
    group: str = field(default="", kw_only=True)
    lifetime_seconds: float | None = field(default=None, kw_only=True)
    faults: tuple[Fault, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_types()
        object.__setattr__(self, "percentage", check_percentage(self.percentage))
        faults = tuple(sorted(self._given_faults(), key=lambda fault: fault.phase.value))
        object.__setattr__(self, "faults", faults)
        terminal = [fault.kind for fault in faults if fault.phase is Phase.TERMINAL]
        if not faults and not self.group:
            raise RuleError("a fault is missing", hint="one of delay, abort, raise, hang")
        if len(terminal) > 1:
            message = f"two faults end the request: {' and '.join(terminal)}"
            raise RuleError(message, hint="write two rules; each rolls its own dice")
        _check_count("count", self.count)
        _check_count("every", self.every)
        if self.lifetime_seconds is not None:
            object.__setattr__(self, "lifetime_seconds", _lifetime(self.lifetime_seconds))
        if self.group and not NAME.fullmatch(self.group):
            raise RuleError(f"{self.group!r} is not a group's name", where="group", hint=NAME_HINT)
        if not self.name:
            object.__setattr__(self, "name", self.derived_name())
        elif not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise RuleError(f"{self.name!r} is not a rule name", where="name", hint=NAME_HINT)

    def _check_types(self) -> None:
        kinds = {"match": Match, "delay": Delay, "abort": Abort, "raise_": Raise, "hang": Hang, "sample_by": SampleBy}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and (value is not None or name == "match"):
                raise RuleError(f"{value!r} is not a {kind.__name__}", where=name, hint=f"write {kind.__name__}(…)")

    def _given_faults(self) -> Iterator[Fault]:
        for fault in (self.delay, self.abort, self.raise_, self.hang):
            if fault is not None:
                yield fault

    def derived_name(self) -> str:
        """The name of a rule that nobody named: its path and faults, and a digest of the whole, never its position."""
        path = self.match.path.value if self.match.path else ""
        words = re.sub(r"[^a-z0-9]+", "-", f"{path.lower()}-{'-'.join(fault.kind for fault in self.faults)}")
        content = json.dumps(rule_document(self, with_name=False), sort_keys=True)
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
        stem = words.strip("-")[:44].strip("-")
        return f"{stem if stem[:1].isalpha() else 'rule-' + stem}-{digest}"

    def __str__(self) -> str:
        return rule_line(self) or json.dumps(rule_document(self), ensure_ascii=False)


def _lifetime(value: float) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # In whole microseconds, so that it can be written down.
    if not is_number or not 0.000_001 <= value <= MAX_LIFETIME:
        raise RuleError(f"{value!r} seconds are not possible", where="for", hint="1s to 366 days")
    return round(float(value), 6)


def _check_count(where: str, value: int | None) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_COUNT):
        raise RuleError(f"{value!r} is not a count", where=where, hint=f"a whole number from 1 to {MAX_COUNT}")
