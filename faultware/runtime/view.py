"""What requests see of the rules: everything an adapter needs for its fast ways, decided once for each set of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultware.core.ruleset import RuleSet

if TYPE_CHECKING:
    from faultware.core.ruleset import LiveRule

_NO_RULES: Final = RuleSet()


def environ_key(name: str) -> str:
    """Where a WSGI environment keeps a header, whose name is given in lower case (PEP 3333)."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


class View:
    """What requests see: the rules in force for one value of the signal. Replaced as a whole, never changed."""

    __slots__ = (
        "has_more",
        "header_names",
        "is_idle",
        "known",
        "quiet",
        "raw_header_names",
        "rules",
        "websockets",
        "word",
    )

    def __init__(self, word: int, rules: RuleSet) -> None:
        self.word = word
        self.rules = rules
        # Without rules in force only the control endpoint is to be looked for.
        self.is_idle = not rules.counted
        # Paths on which nothing can match, unless a header brings a rule in: the adapters' fast way.
        names = rules.header_names
        self.quiet: dict[str, bool] = {} if rules.has_query or rules.has_raw else rules.quiet
        # Where the path alone decides which rules are asked: the second fastest way.
        has_fields = names or rules.has_query or rules.has_raw
        self.known: dict[str, tuple[LiveRule, ...]] = {} if has_fields else rules.known
        # WebSockets have an index of their own, so that they cost other requests nothing.
        has_websockets = any(entry.rule.is_websocket for entry in rules.live)
        self.websockets = RuleSet(rules.live, rules.exemptions, for_websockets=True) if has_websockets else _NO_RULES
        # Headers that may bring a rule in on any other quiet path, as WSGI and ASGI name them.
        self.header_names = frozenset(map(environ_key, names))
        self.raw_header_names = frozenset(name.encode("latin-1") for name in names)
        # Whether a quiet path is not the last word under ASGI: a header may bring a rule in, or it may be a WebSocket.
        self.has_more = has_websockets or bool(names)
