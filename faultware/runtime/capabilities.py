"""What this server lets a fault do, said before a rule is taken: nothing is replaced in silence.

What depends on one connection (a proxy in front, TLS, HTTP/2) is not known here, and adapters decide it for each
request.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, assert_never

from faultware.core import faults as kinds
from faultware.core.faults import FAULTS, Fault, Needs
from faultware.errors import RuleError
from faultware.runtime.servers import IN_PROCESS, Server, running

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultware.core.rules import Rule

IS_LINUX: Final = sys.platform == "linux"
_FALLBACK_HINT: Final = "give the rule a fallback, which acts in its place"
_LEAVE_HINT: Final = "set it to true where the process may be harmed"


class Means(Enum):
    """How a fault comes about."""

    NATIVE = "native"
    SOCKET = "socket"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Capability:
    """What becomes of one kind of fault here.

    Args:
        fault: Its kind, and the form of it where another form fares differently: `truncate by reset`.
        means: How it comes about.
        reason: Why so, as a sentence.
    """

    fault: str
    means: Means
    reason: str


class Capabilities:
    """What can be done in this process.

    Args:
        server: Who serves, as far as that is known.
        allow_instance_faults: Whether the process itself may be harmed.
    """

    def __init__(self, server: Server | None = None, *, allow_instance_faults: bool = False) -> None:
        self.server = server or Server()
        self._allow_instance_faults = allow_instance_faults

    def look_again(self) -> None:
        """Recognise the server from the call that is being served, of which more is known than at the start."""
        server = running(self.server.protocol)
        if server.name:
            self.server = server

    def why_not(self, fault: Fault) -> str:
        """Why a fault is not possible here, as the end of a sentence; empty: it is, or nobody knows yet."""
        server = self.server
        match fault.needs:
            case Needs.NOTHING:
                return ""
            case Needs.PROCESS:
                return "" if self._allow_instance_faults else "FAULTWARE_ALLOW_INSTANCE_FAULTS is not true"
            case Needs.WEBSOCKET:
                return _why_no_websocket(fault, server)
            case Needs.STREAM:
                return _why_no_stream(fault, server)
            case Needs.SOCKET | Needs.RAW:
                return _why_no_socket(fault, server)
            case _ as unknown:
                assert_never(unknown)

    def check(self, rule: Rule) -> None:
        """Refuse a rule that asks for what is not possible here, unless it says what is to be done then.

        Raises:
            RuleError: Naming the fault, the server and the reason.
        """
        if rule.fallback is not None:
            return
        for fault in rule.everything:
            reason = self.why_not(fault)
            if reason:
                message = f"{fault.kind} is not possible under {self.server}: {reason}"
                hint = _LEAVE_HINT if fault.needs is Needs.PROCESS else _FALLBACK_HINT
                raise RuleError(message, where=fault.kind, hint=hint)

    def impossible(self, rules: Iterable[Rule]) -> list[str]:
        """For each rule that cannot act here as it is written: its name, the fault and the reason."""
        return [
            f"{rule.name} ({fault.kind}: {reason})"
            for rule in rules
            for fault in rule.everything
            if (reason := self.why_not(fault))
        ]

    def describe(self) -> list[Capability]:
        """What becomes of every fault here, in the order in which faults act."""
        return [self._describe(name, fault) for name, fault in FORMS]

    def document(self) -> dict[str, Any]:
        """The same as JSON says it."""
        server = self.server
        return {
            "server": {
                "name": server.name or None,
                "worker": server.worker or None,
                "version": server.version or None,
                "protocol": server.protocol or None,
            },
            "faults": [{"fault": one.fault, "means": one.means.value, "reason": one.reason} for one in self.describe()],
        }

    def _describe(self, name: str, fault: Fault) -> Capability:
        reason = self.why_not(fault)
        if reason:
            is_name = reason.startswith(self.server.name or " ")
            return Capability(name, Means.IMPOSSIBLE, f"{reason if is_name else reason[0].upper() + reason[1:]}.")
        if fault.needs in (Needs.SOCKET, Needs.RAW) or getattr(fault, "by", None) in ("fin", "reset"):
            return Capability(name, *_by_the_socket(fault, self.server))
        return Capability(name, Means.NATIVE, _natively(fault, self.server))


# One fault of each kind, and of each form that some server treats differently.
FORMS: Final[tuple[tuple[str, Fault], ...]] = (
    ("delay", kinds.Delay(0.1)),
    ("block", kinds.Block(0.1)),
    ("cpu", kinds.Cpu(50)),
    ("memory", kinds.Memory(1)),
    ("descriptors", kinds.Descriptors()),
    ("kill", kinds.Kill()),
    ("websocket_refuse", kinds.WebsocketRefuse()),
    ("websocket_refuse with another status than 403", kinds.WebsocketRefuse(503)),
    ("rate_limit", kinds.RateLimit(1)),
    ("abort", kinds.Abort(503)),
    ("raise", kinds.Raise("InjectedFault")),
    ("hang", kinds.Hang()),
    ("reset", kinds.Reset()),
    ("close", kinds.Close()),
    ("partial_head", kinds.PartialHead()),
    ("garbage", kinds.Garbage()),
    ("stream_reset", kinds.StreamReset()),
    ("stream_reset with another code than 2", kinds.StreamReset(8)),
    ("request_headers", kinds.RequestHeaders(remove=("accept",))),
    ("delay_response", kinds.DelayResponse(0.1)),
    ("replace_status", kinds.ReplaceStatus(503)),
    ("response_headers", kinds.ResponseHeaders(remove=("etag",))),
    ("replace_body", kinds.ReplaceBody("")),
    ("corrupt", kinds.Corrupt(1)),
    ("slice", kinds.Slice(1)),
    ("throttle", kinds.Throttle(1)),
    ("throttle of requests", kinds.Throttle(1, of="request")),
    ("dribble", kinds.Dribble(1)),
    ("stall", kinds.Stall(kinds.Bytes(1))),
    ("truncate", kinds.Truncate(kinds.Bytes(1))),
    ("truncate by reset", kinds.Truncate(kinds.Bytes(1), by="reset")),
    ("limit_data", kinds.LimitData(1)),
    ("slow_close", kinds.SlowClose(1)),
    ("content_length", kinds.ContentLength(1)),
    ("malformed_chunk", kinds.MalformedChunk()),
    ("websocket_close", kinds.WebsocketClose(1000)),
    ("websocket_close with a code from 1001 to 2999", kinds.WebsocketClose(1011)),
    ("websocket_close by fin or reset", kinds.WebsocketClose(by="reset")),
    ("websocket_messages", kinds.WebsocketMessages(drop=100)),
)
assert {type(fault) for _, fault in FORMS} == set(FAULTS)  # noqa: S101

# Servers that answer every refused handshake with 403, having no `websocket.http.response` (ASGI specification).
_REFUSE_WITH_403: Final = (("daphne", ""), ("gunicorn", "asgi"))


def _why_no_websocket(fault: Fault, server: Server) -> str:
    if server.protocol == "wsgi":
        return "WSGI has no WebSockets"
    if isinstance(fault, kinds.WebsocketRefuse) and fault.status != 403:
        if (server.name, server.worker) in _REFUSE_WITH_403:
            return f"{server.name} answers every handshake that is refused with 403"
    elif isinstance(fault, kinds.WebsocketClose) and fault.code is not None and server.name == "daphne":
        if fault.code != 1000 and fault.code < 3000:
            return "daphne closes with the codes 1000 and 3000 to 4999 only"
    elif isinstance(fault, kinds.WebsocketClose) and fault.by is not None:
        return _why_no_socket(fault, server)
    return ""


def _why_no_stream(fault: Fault, server: Server) -> str:
    if server.protocol == "wsgi":
        return "WSGI knows nothing of the streams of HTTP/2"
    if server.name in ("uvicorn", "daphne"):
        return f"{server.name} does not speak HTTP/2"
    if server.name == "gunicorn":
        return "gunicorn lets nobody reset a stream"
    if server.name == "granian" and getattr(fault, "code", 2) != 2:
        return "granian resets streams with the code 2 only"
    return ""


def _why_no_socket(fault: Fault, server: Server) -> str:
    if server.name == IN_PROCESS:
        return ""
    if not IS_LINUX:
        return "only Linux lets a connection be ended from beside its server"
    if server.name == "granian" and server.protocol == "wsgi":
        return "granian does not say which connection a WSGI request came by"
    if server.name == "uWSGI" and server.worker == "socket":
        return "the client's connection belongs to the web server in front of uWSGI"
    if server.name == "uWSGI" and server.worker == "http" and _resets(fault):
        return "the router of uWSGI --http stands between and ends the client's connection politely"
    return ""


def _resets(fault: Fault) -> bool:
    return isinstance(fault, kinds.Reset) or getattr(fault, "by", None) == "reset"


def _by_the_socket(fault: Fault, server: Server) -> tuple[Means, str]:
    if server.name == IN_PROCESS:
        return Means.NATIVE, "There is no connection: InjectedDisconnect is raised in the client."
    reason = "On the connection's own socket; not behind a proxy"
    if not server.name:
        reason = "The server is not known: tried for each request, on the connection's own socket; not behind a proxy"
    if fault.needs is Needs.RAW:
        return Means.SOCKET, f"{reason}, and only on HTTP/1.1 without TLS."
    if isinstance(fault, kinds.Reset) and server.name == "hypercorn":
        return Means.SOCKET, f"{reason}. On HTTP/2 the request's stream is reset instead."
    if server.name in ("granian", "hypercorn"):
        return Means.SOCKET, f"{reason}, nor on HTTP/2, where other requests share the connection."
    return Means.SOCKET, f"{reason}."


def _natively(fault: Fault, server: Server) -> str:
    match fault.needs:
        case Needs.STREAM:
            if server.name == "granian":
                return "By an exception behind a first piece of a body; only on HTTP/2."
            return "By the server's own objects; only on HTTP/2."
        case Needs.PROCESS:
            return "In the process that serves the request, and in no other."
        case _:
            return f"By the means of {server.protocol.upper() or 'ASGI or WSGI'}."
