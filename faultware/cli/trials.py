"""What `faultware selftest` tries: each fault, how it is asked for, and what a client must see of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from faultware.control.selftest import BODY, ECHO, READ, UNKNOWN_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faultware.cli.talking import Talk
    from faultware.cli.watching import Seen

_SIZE: Final = len(BODY)
# Servers, and the machine, take their time as well; a fault is late, but never early.
_SLACK: Final = 0.05


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault to try.

    Args:
        fault: As `GET capabilities` names it.
        line: In the one-line form.
        expected: What a client must see.
        is_met: Whether it has seen that.
        method: Of the request.
        headers: Of the request.
        body: Of the request.
        harms: Whether it acts on the whole process.
        is_paced: Whether it is about how bytes are spread over time. Who is held up sees them all at once, so it is
            tried more than once before it counts as wrong.
    """

    fault: str
    line: str
    expected: str
    is_met: Callable[[Seen], bool]
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    harms: bool = False
    is_paced: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """One fault of WebSockets to try, on a conversation with an application that repeats what it hears.

    Args:
        fault: As `GET capabilities` names it.
        line: In the one-line form.
        expected: What a client must see.
        is_met: Whether it has seen that.
    """

    fault: str
    line: str
    expected: str
    is_met: Callable[[Talk], bool]


def _is_whole(seen: Seen, status: int = 200, body: bytes | None = None) -> bool:
    response = seen.response
    return response.is_whole and response.status == status and (body is None or response.body == body)


def _is_untouched(seen: Seen) -> bool:
    return _is_whole(seen, body=BODY)


def _later(seconds: float) -> Callable[[Seen], bool]:
    return lambda seen: _is_untouched(seen) and seen.first_byte_seconds >= seconds


def _cut(size: int, end: str) -> Callable[[Seen], bool]:
    return lambda seen: (
        seen.response.status == 200
        and not seen.response.is_whole
        and seen.response.body == BODY[:size]
        and seen.end == end
    )


def _takes(seconds: float) -> Callable[[Seen], bool]:
    return lambda seen: _is_untouched(seen) and seen.last_byte_seconds - seen.first_byte_seconds >= seconds - _SLACK


def _is_raised(seen: Seen) -> bool:
    # uWSGI answers an exception with nothing at all.
    return seen.response.status == 500 or (not seen.data and seen.end == "FIN")


def _is_corrupt(seen: Seen) -> bool:
    body = seen.response.body
    return _is_whole(seen) and len(body) == _SIZE and body != BODY


def _is_pieces(seen: Seen) -> bool:
    return _is_untouched(seen) and len(seen.arrivals) > 4 and seen.last_byte_seconds >= 0.3 - _SLACK


def _is_held_open(seen: Seen) -> bool:
    return _is_untouched(seen) and seen.seconds - seen.first_byte_seconds >= 0.3 - _SLACK


def _is_half_a_head(seen: Seen) -> bool:
    return seen.data.startswith(b"HTTP/1.1 200") and seen.response.status is None and seen.end == "FIN"


def _is_limited(seen: Seen) -> bool:
    return _is_whole(seen, 429) and "retry-after" in seen.response.headers


def _is_bad_chunk(seen: Seen) -> bool:
    response = seen.response
    return response.flaw == "a bad chunk" and response.body == BODY[:1000] and seen.end == "FIN"


def _is_wrong_length(seen: Seen) -> bool:
    response = seen.response
    return response.length == _SIZE + 10 and response.body == BODY and seen.end == "FIN"


def _is_ended(seen: Seen, end: str) -> bool:
    return not seen.data and seen.end == end


HTTP: Final = (
    Trial("delay", "delay 300ms", "the known answer, after 0.3 s", _later(0.3)),
    Trial("rate_limit", "rate_limit 1 per=1m", "429 with Retry-After", _is_limited),
    Trial("abort", "abort 503", "503", lambda seen: _is_whole(seen, 503)),
    Trial("raise", "raise InjectedFault", "500, or an empty reply", _is_raised),
    Trial(
        "hang",
        "hang 500ms",
        "nothing for 0.5 s, then 504",
        lambda seen: _is_whole(seen, 504) and seen.first_byte_seconds >= 0.5,
    ),
    Trial("reset", "reset", "RST, 0 bytes", lambda seen: _is_ended(seen, "RST")),
    Trial("close", "close", "FIN, 0 bytes", lambda seen: _is_ended(seen, "FIN")),
    Trial("partial_head", "partial_head", "half a head, then FIN", _is_half_a_head),
    Trial(
        "garbage",
        "garbage 64B",
        "64 bytes that are no HTTP, then FIN",
        lambda seen: len(seen.data) == 64 and seen.response.status is None and seen.end == "FIN",
    ),
    Trial(
        "request_headers",
        f"request_headers {ECHO}=changed",
        "the application sees the changed header",
        lambda seen: _is_untouched(seen) and seen.response.headers.get(ECHO) == "changed",
        headers={ECHO: "sent"},
    ),
    Trial("delay_response", "delay_response 300ms", "the known answer, after 0.3 s", _later(0.3)),
    Trial("replace_status", "replace_status 418", "418, the known body", lambda seen: _is_whole(seen, 418, BODY)),
    Trial(
        "response_headers",
        "response_headers x-selftest=set",
        "the known answer with one more header",
        lambda seen: _is_untouched(seen) and seen.response.headers.get("x-selftest") == "set",
    ),
    Trial("replace_body", "replace_body gone", "200, the new body", lambda seen: _is_whole(seen, 200, b"gone")),
    Trial("corrupt", "corrupt 10%", "as many bytes, and others", _is_corrupt),
    Trial("slice", "slice 512B pause=50ms", "the known answer in pieces", _is_pieces, is_paced=True),
    Trial("throttle", "throttle 8kB/s", "the known answer, over 0.5 s", _takes(0.4), is_paced=True),
    Trial(
        "throttle of requests",
        "throttle 8kB/s of=request",
        "the application has the whole body after 0.5 s",
        lambda seen: _later(0.4)(seen) and seen.response.headers.get(READ) == str(_SIZE),
        method="POST",
        body=BODY,
    ),
    Trial("dribble", "dribble 400ms pieces=8", "the known answer, over 0.4 s", _takes(0.3), is_paced=True),
    Trial(
        "stall",
        "stall 1kB duration=300ms",
        "the known answer, with a pause of 0.3 s",
        lambda seen: _is_untouched(seen) and seen.longest_pause_seconds >= 0.3 - _SLACK,
        is_paced=True,
    ),
    Trial("truncate", "truncate 1000B", "1000 body bytes, then FIN", _cut(1000, "FIN")),
    Trial("truncate by reset", "truncate 1000B by=reset", "1000 body bytes, then RST", _cut(1000, "RST")),
    Trial("limit_data", "limit_data 1000B", "1000 body bytes, then FIN", _cut(1000, "FIN")),
    # Of a response whose length is known, granian does not wait for the end.
    Trial(
        "slow_close",
        "slow_close 300ms",
        "the known body, and its end 0.3 s later",
        _is_held_open,
        headers={ECHO: UNKNOWN_LENGTH},
        is_paced=True,
    ),
    Trial("content_length", "content_length +10", "a length that is 10 too large, then FIN", _is_wrong_length),
    Trial("malformed_chunk", "malformed_chunk 1000B", "1000 body bytes, a bad chunk, FIN", _is_bad_chunk),
    Trial("block", "block 100ms", "the known answer, after 0.1 s", _later(0.1), harms=True),
    Trial("cpu", "cpu 10% duration=100ms", "the known answer", _is_untouched, harms=True),
    Trial("memory", "memory 1MB duration=100ms", "the known answer", _is_untouched, harms=True),
    Trial("descriptors", "descriptors 1000000 duration=100ms", "the known answer", _is_untouched, harms=True),
)

WEBSOCKETS: Final = (
    Conversation(
        "websocket_refuse",
        "websocket_refuse 403",
        "the handshake is refused with 403",
        lambda talk: talk.status == 403,
    ),
    Conversation(
        "websocket_refuse with another status than 403",
        "websocket_refuse 503",
        "the handshake is refused with 503",
        lambda talk: talk.status == 503,
    ),
    Conversation(
        "websocket_close",
        "websocket_close 1000 messages=1",
        "closed with 1000",
        lambda talk: talk.code == 1000,
    ),
    Conversation(
        "websocket_close with a code from 1001 to 2999",
        "websocket_close 1011 messages=1",
        "closed with 1011",
        lambda talk: talk.code == 1011,
    ),
    Conversation(
        "websocket_close by fin or reset",
        "websocket_close by=reset messages=1",
        "RST without a close frame",
        lambda talk: talk.status == 101 and talk.code is None and talk.end == "RST",
    ),
    Conversation(
        "websocket_messages",
        "websocket_messages duplicate=100% of=outgoing",
        "each message twice",
        lambda talk: talk.messages == (b"one", b"one", b"two", b"two"),
    ),
)
# What no trial shows, and why.
LEFT_OUT: Final = {
    "kill": "it would end the process",
    "stream_reset": "it needs HTTP/2, which this client does not speak",
    "stream_reset with another code than 2": "as well",
}
# What is said in each conversation.
MESSAGES: Final = (b"one", b"two")
