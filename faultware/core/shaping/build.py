"""From what was chosen for a request to what shapes its response, and what slows the reading of its body."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from faultware.core.faults import (
    FAULTS,
    ContentLength,
    Corrupt,
    DelayResponse,
    Dribble,
    LimitData,
    MalformedChunk,
    Phase,
    ReplaceBody,
    ReplaceStatus,
    ResponseHeaders,
    Slice,
    SlowClose,
    Stall,
    Throttle,
    Truncate,
)
from faultware.core.shaping.chain import Chain
from faultware.core.shaping.corrupting import Corruption
from faultware.core.shaping.cutting import Limit, Stalling, Truncation
from faultware.core.shaping.pacing import Dribbling, Pacer, Slicing, SlowClosing, Throttling, Waiting
from faultware.core.shaping.raw import MalformedChunks, WrongLength
from faultware.core.shaping.rewriting import BodyReplacement, HeaderChange, Patching, StatusChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultware.core.plan import Injection
    from faultware.core.shaping.effects import Clock, Stage


def shape(injections: Sequence[Injection], method: str, max_delay_seconds: float, clock: Clock) -> Chain | None:
    """What shapes a response.

    Rules act in their order, and the faults of one rule in the order of `FAULTS`, whatever order they were written in.

    Args:
        injections: What was chosen; those that do not concern the response are passed over.
        method: Of the request. Nothing is done to the body of a response that cannot have one.
        max_delay_seconds: Bounds the delays before the first byte, all together, and each stall and each slow close.
            What paces a body may take longer.
        clock: Monotonic seconds; `Wait` names times on it.

    Returns:
        None, if nothing concerns the response.
    """
    stages: list[Stage] = []
    left = max_delay_seconds
    for _, of_one_rule in groupby(injections, lambda injection: id(injection.live)):
        for injection in sorted(of_one_rule, key=lambda injection: FAULTS.index(type(injection.fault))):
            if isinstance(injection.fault, DelayResponse):
                seconds = min(left, injection.delay_seconds)
                left -= seconds
                stages.append(Waiting(seconds, clock))
            elif (stage := _stage(injection, method, max_delay_seconds, clock)) is not None:
                stages.append(stage)
    return Chain(stages, clock) if stages else None


def acts_on_response(injection: Injection) -> bool:
    """Whether what was chosen acts on the response, and not on the request that the application sees."""
    fault = injection.fault
    return fault.phase is Phase.RESPONSE and not (isinstance(fault, Throttle) and fault.of == "request")


def pacer(injections: Sequence[Injection], clock: Clock) -> Pacer | None:
    """What slows the reading of a request's body; None: nothing. Of several rates the lowest holds."""
    rates = [
        injection.fault.bytes_per_second
        for injection in injections
        if isinstance(injection.fault, Throttle) and injection.fault.of == "request"
    ]
    return Pacer(min(rates), clock) if rates else None


def _stage(injection: Injection, method: str, max_delay_seconds: float, clock: Clock) -> Stage | None:
    match injection.fault:
        case ReplaceStatus(status=status):
            return StatusChange(status)
        case ResponseHeaders() as fault:
            return HeaderChange(fault)
        case ReplaceBody() as fault:
            return _replacement(fault, method)
        case Corrupt(share=share, unit=unit):
            return Corruption(method, share, unit, injection.draw)
        case Throttle(bytes_per_second=rate, of="response"):
            return Throttling(method, rate, clock)
        case Stall(at=at, duration_seconds=seconds):
            bounded = max_delay_seconds if seconds is None else min(seconds, max_delay_seconds)
            return Stalling(method, at, bounded, clock)
        case Truncate(at=at, by=by):
            return Truncation(method, at, by)
        case LimitData(limit_bytes=limit):
            return Limit(method, limit)
        case SlowClose(delay_seconds=seconds):
            return SlowClosing(method, min(seconds, max_delay_seconds), clock)
        case Slice(size_bytes=size, vary_bytes=vary, pause_seconds=pause):
            return Slicing(method, size, vary, pause, injection.draw, clock)
        case Dribble(duration_seconds=seconds, pieces=pieces):
            return Dribbling(method, seconds, pieces, clock)
        case ContentLength(off_by=off_by):
            return WrongLength(method, off_by)
        case MalformedChunk(after_bytes=after):
            return MalformedChunks(method, after)
        case _:  # acts elsewhere: on the request, the connection, the process, a WebSocket
            return None


def _replacement(fault: ReplaceBody, method: str) -> Stage:
    if fault.text is not None:
        return BodyReplacement(method, fault.text.encode(), fault.content_type)
    return Patching(method, fault.merge_patch or "null", fault.content_type)
