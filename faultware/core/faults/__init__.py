"""What can be done to a request, as data.

Each fault says in which phase it acts and what it needs. The engine asks for nothing else, so a new fault is a new
class here, a place in one of the unions, and a new field of `Rule`; adapters then learn to take its effect. Numbers
carry their unit in their name; percentages run from 0 to 100.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from faultware.core.delays import Distribution, Exponential, LogNormal, Normal, Pareto, Uniform
from faultware.core.faults.answers import BODILESS, MAX_BODY, Abort, Raise, RateLimit
from faultware.core.faults.bodies import (
    ContentLength,
    Corrupt,
    Dribble,
    LimitData,
    MalformedChunk,
    ReplaceBody,
    Slice,
    SlowClose,
    Stall,
    Throttle,
    Truncate,
)
from faultware.core.faults.connections import Close, Garbage, PartialHead, Reset, StreamReset
from faultware.core.faults.forms import Bytes, Events, Share
from faultware.core.faults.heads import ReplaceStatus, RequestHeaders, ResponseHeaders
from faultware.core.faults.holding import Delay, DelayResponse, Hang
from faultware.core.faults.instances import Block, Cpu, Descriptors, Kill, Memory
from faultware.core.faults.phases import CONNECTION_NEEDS, Needs, Phase
from faultware.core.faults.websockets import WebsocketClose, WebsocketMessages, WebsocketRefuse

__all__ = [
    "BODILESS",
    "CONNECTION_NEEDS",
    "FAULTS",
    "HANG_OVER",
    "MAX_BODY",
    "Abort",
    "Block",
    "Bytes",
    "Close",
    "ContentLength",
    "Corrupt",
    "Cpu",
    "Delay",
    "DelayResponse",
    "Descriptors",
    "Distribution",
    "Dribble",
    "Events",
    "Exponential",
    "Fault",
    "Garbage",
    "Hang",
    "Instance",
    "Kill",
    "LimitData",
    "LogNormal",
    "MalformedChunk",
    "Memory",
    "Needs",
    "Normal",
    "Pareto",
    "PartialHead",
    "Phase",
    "Raise",
    "RateLimit",
    "ReplaceBody",
    "ReplaceStatus",
    "RequestHeaders",
    "Reset",
    "Response",
    "ResponseHeaders",
    "Share",
    "Slice",
    "SlowClose",
    "Stall",
    "StreamReset",
    "Terminal",
    "Throttle",
    "Truncate",
    "Uniform",
    "WebsocketClose",
    "WebsocketMessages",
    "WebsocketRefuse",
    "attribute",
]

# Ends the request in the application's place.
Connection: TypeAlias = Reset | Close | PartialHead | Garbage | StreamReset
Terminal: TypeAlias = Abort | RateLimit | Raise | Hang | Connection | WebsocketRefuse
# Acts on the process.
Instance: TypeAlias = Kill | Cpu | Memory | Block | Descriptors
# Acts on an HTTP response: in this order, where one rule has several.
Response: TypeAlias = (
    DelayResponse
    | ReplaceStatus
    | ResponseHeaders
    | ReplaceBody
    | Corrupt
    | Slice
    | Throttle
    | Dribble
    | Stall
    | Truncate
    | LimitData
    | SlowClose
    | ContentLength
    | MalformedChunk
)
Websocket: TypeAlias = WebsocketClose | WebsocketMessages
Fault: TypeAlias = Delay | Instance | Terminal | RequestHeaders | Response | Websocket

# Every fault, in the order in which those of one rule act.
FAULTS: Final[tuple[type[Fault], ...]] = (
    Delay,
    Block,
    Cpu,
    Memory,
    Descriptors,
    Kill,
    WebsocketRefuse,
    RateLimit,
    Abort,
    Raise,
    Hang,
    Reset,
    Close,
    PartialHead,
    Garbage,
    StreamReset,
    RequestHeaders,
    DelayResponse,
    ReplaceStatus,
    ResponseHeaders,
    ReplaceBody,
    Corrupt,
    Slice,
    Throttle,
    Dribble,
    Stall,
    Truncate,
    LimitData,
    SlowClose,
    ContentLength,
    MalformedChunk,
    WebsocketClose,
    WebsocketMessages,
)

_SPOKEN_FOR: Final = frozenset({"raise", "slice"})


def attribute(kind: str) -> str:
    """The name of a fault's field in Python, where a few words have another meaning."""
    return f"{kind}_" if kind in _SPOKEN_FOR else kind


# What a client hears that outlasts a hang: the service was a gateway to nowhere.
HANG_OVER: Final = Abort(504)
