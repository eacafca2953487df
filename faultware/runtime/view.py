"""What requests see of the rules: everything an adapter needs for its fast ways, decided once for each set of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultware.core.ruleset import RuleSet
from faultware.state.store import KILLED

if TYPE_CHECKING:
    from ctypes import c_bool

    from faultware.core.ruleset import LiveRule

_NO_RULES: Final = RuleSet()


def environ_key(name: str) -> str:
    """Where a WSGI environment keeps a header, whose name is given in lower case (PEP 3333)."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


class View:
    """What requests see: the rules in force for one value of the signal. Replaced as a whole, never changed.

    Args:
        word: The value; negative: none, since this process has yet to look.
        rules: The rules.
        alarm: True while a request must ask the injector for the view that is in force, unless the view `is_off`: the
            flag of the store, which a kill raises for the next request in every process, or True.
        is_measured: While it is, no request takes a fast way: each is looked at, and may be measured.
    """

    __slots__ = (
        "_other",
        "alarm",
        "header_names",
        "is_measured",
        "is_off",
        "known",
        "nearly_quiet",
        "quiet",
        "raw_header_names",
        "rules",
        "websockets",
        "word",
    )

    def __init__(self, word: int, rules: RuleSet, alarm: c_bool | bool = False, *, is_measured: bool = False) -> None:
        self.word = word
        self.rules = rules
        self.is_measured = is_measured
        # While it is, the switch is killed, nothing is measured, and nobody looks at the store's flag: a kill must be
        # seen by the next request, but that somebody has armed again the refresher is early enough to see.
        self.is_off = word >= 0 and bool(word & KILLED) and not is_measured
        self.alarm = self.is_off or alarm
        self._other: View | None = None
        names = rules.header_names
        has_websockets = any(entry.rule.is_websocket for entry in rules.live)
        # Paths on which nothing can match: the adapters' fast way. And those on which nothing can, unless a header
        # brings a rule in or it is a WebSocket that is asked for.
        quiet: dict[str, bool] = {} if is_measured or rules.has_query or rules.has_raw else rules.quiet
        is_last_word = not names and not has_websockets
        self.quiet: dict[str, bool] = quiet if is_last_word else {}
        self.nearly_quiet: dict[str, bool] = {} if is_last_word else quiet
        # Where the path alone decides which rules are asked: the second fastest way.
        has_fields = names or rules.has_query or rules.has_raw
        self.known: dict[str, tuple[LiveRule, ...]] = {} if has_fields else rules.known
        # WebSockets have an index of their own, so that they cost other requests nothing.
        self.websockets = RuleSet(rules.live, rules.exemptions, for_websockets=True) if has_websockets else _NO_RULES
        # Headers that may bring a rule in, as WSGI and ASGI name them.
        self.header_names = frozenset(map(environ_key, names))
        self.raw_header_names = frozenset(name.encode("latin-1") for name in names)

    def other(self) -> View:
        """The same view for requests that are measured, or for requests that are not."""
        if self._other is None:
            self._other = View(self.word, self.rules, self.alarm, is_measured=not self.is_measured)
            self._other._other = self  # noqa: SLF001  (of the same class)
        return self._other


class Glance:
    """What every request reads, in a slot: with many attributes beside it, it would be found more slowly."""

    __slots__ = ("view",)
    view: View
