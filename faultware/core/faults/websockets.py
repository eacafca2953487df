"""Faults of WebSocket connections (RFC 6455). A rule that has one of them concerns WebSockets, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from faultware.core.faults.forms import PERCENT, SECONDS, SOME_SECONDS, Form, Text, Whole, Word, settle
from faultware.core.faults.phases import Needs, Phase
from faultware.errors import RuleError

# 1005, 1006 and 1015 never stand in a close frame, and 1004 means nothing (RFC 6455, section 7.4.1).
_CODE = Whole(1000, 4999, frozenset({1004, 1005, 1006, 1015}), "close code")
_COUNT = Whole(0, 10**9, what="number of messages")


@dataclass(frozen=True, slots=True)
class WebsocketRefuse:
    """Refuses the handshake with a status.

    Args:
        status: 400 to 599. Servers that cannot choose one answer 403.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "websocket_refuse"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.WEBSOCKET
    status: Annotated[int, Form("status", Whole(400, 599, what="status"), is_first=True)] = 403
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class WebsocketClose:
    """Ends an open connection after so many messages, after a time, or at once.

    Args:
        code: Of the close frame; None: no close frame, the connection just ends (`by`).
        after_messages: Of the application and the client together.
        after_seconds: Since the handshake; whichever comes first.
        reason: In the close frame, at most 123 bytes.
        by: Without a code: `fin` or `reset`.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "websocket_close"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.WEBSOCKET
    code: Annotated[int | None, Form("code", _CODE, is_first=True)] = None
    after_messages: Annotated[int | None, Form("messages", _COUNT)] = None
    after_seconds: Annotated[float | None, Form("after", SOME_SECONDS)] = None
    reason: Annotated[str, Form("reason", Text(most=123))] = ""
    by: Annotated[Literal["fin", "reset"] | None, Form("by", Word(("fin", "reset")))] = None
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
        if (self.code is None) is (self.by is None):
            raise RuleError("exactly one of code and by is needed", hint="code: 1011, or by: reset")


@dataclass(frozen=True, slots=True)
class WebsocketMessages:
    """Delays, loses, doubles and damages the messages of an open connection.

    Args:
        delay_seconds: Each message, in order.
        drop: The share that is lost, 0 to 100.
        duplicate: The share that comes twice.
        corrupt: The share of a message's bytes (of a text's characters) that become others.
        of: `incoming` from the client, `outgoing` from the application, or `both`.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "websocket_messages"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.WEBSOCKET
    delay_seconds: Annotated[float, Form("delay", SECONDS)] = 0.0
    drop: Annotated[float, Form("drop", PERCENT)] = 0.0
    duplicate: Annotated[float, Form("duplicate", PERCENT)] = 0.0
    corrupt: Annotated[float, Form("corrupt", PERCENT)] = 0.0
    of: Annotated[Literal["incoming", "outgoing", "both"], Form("of", Word(("incoming", "outgoing", "both")))] = "both"
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
        if not (self.delay_seconds or self.drop or self.duplicate or self.corrupt):
            raise RuleError("nothing is done to the messages", hint="one of delay, drop, duplicate, corrupt")
