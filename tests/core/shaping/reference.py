"""What each fault does to a response, written down slowly: for a whole body at once and byte by byte."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from faultware.core.faults import (
    Bytes,
    ContentLength,
    Corrupt,
    DelayResponse,
    Dribble,
    Events,
    LimitData,
    MalformedChunk,
    ReplaceBody,
    ReplaceStatus,
    ResponseHeaders,
    Share,
    Slice,
    SlowClose,
    Stall,
    Throttle,
    Truncate,
)
from faultware.core.shaping import corrupting
from faultware.core.shaping.chance import uniform
from faultware.core.shaping.effects import Head

LINE_TYPES = ("application/x-ndjson", "application/jsonlines", "application/json-seq")


@dataclass
class Whole:
    """A response. `raw`: it is written past the server, with this framing. `seconds`: what has been waited."""

    head: Head
    body: bytes
    end: str | None = None
    raw: tuple | None = None
    seconds: float = 0.0


def expect(faults, head, body, *, method="GET", draw=0.25, most=1024 * 1024, max_delay=30.0):
    """The response behind all faults, each of which is fed what the one in front of it leaves."""
    whole = Whole(head, body if method != "HEAD" else b"")
    for fault in faults:
        if whole.raw is None:
            whole = _after(fault, whole, method, draw, most, max_delay)
    return whole


def _after(fault, whole, method, draw, most, max_delay):
    head = whole.head
    if isinstance(fault, DelayResponse):
        return replace(whole, seconds=whole.seconds + min(max_delay, fault.distribution.at(0.5)))
    if isinstance(fault, ResponseHeaders):
        gone = [name.lower() for name in (*fault.remove, *(name for name, _ in fault.set))]
        kept = tuple(line for line in head.headers if line[0].lower() not in gone)
        return replace(whole, head=Head(head.status, (*kept, *fault.set, *fault.add)))
    if isinstance(fault, ReplaceStatus):
        return _with_status(fault.status, whole)
    if method == "HEAD" or head.status in (204, 205, 304):
        return whole
    length = next((int(value) for name, value in head.headers if name.lower() == "content-length"), None)
    longer = _seconds(fault, whole, length, draw, most, max_delay)
    return replace(_changed(fault, whole, length, draw, most), seconds=whole.seconds + longer)


def _with_status(status, whole):
    head = whole.head
    if status not in (204, 205, 304):
        changed = Head(status, head.headers)
        if head.status not in (204, 205, 304):
            return replace(whole, head=changed)
        return replace(whole, head=changed.with_length(0) if head.length else changed, body=b"")
    kept = tuple(line for line in head.headers if line[0].lower() not in ("content-length", "transfer-encoding"))
    if status == 205:
        kept += (("content-length", "0"),)
    return replace(whole, head=Head(status, kept), body=b"")


def _changed(fault, whole, length, draw, most):
    head, body = whole.head, whole.body
    match fault:
        case Truncate(at=at, by=by):
            place, announced = _place(at, head, body, length, most)
            if place is None or (announced is not None and place >= announced):
                return whole
            return replace(whole, body=body[:place], end=by)
        case LimitData(limit_bytes=limit):
            return replace(whole, body=body[:limit], end="fin") if limit <= len(body) else whole
        case Corrupt(share=share, unit=unit):
            return replace(whole, body=corrupted(share, unit, draw, body))
        case ReplaceBody():
            return _replaced(fault, whole, length, most)
        case ContentLength(off_by=off_by):
            if length is None and len(body) > most:
                body = body[:most]
            announced = max(0, (len(body) if length is None else length) + off_by)
            return replace(whole, body=body, end="fin", raw=("content-length", announced))
        case MalformedChunk(after_bytes=after):
            return replace(whole, body=body[:after], end="fin", raw=("transfer-encoding", "chunked"))
    return whole


def _seconds(fault, whole, length, draw, most, max_delay):
    body = whole.body
    match fault:
        case Stall(at=at, duration_seconds=seconds):
            place, _ = _place(at, whole.head, body, length, most)
            return 0 if place is None else min(max_delay, max_delay if seconds is None else seconds)
        case SlowClose(delay_seconds=seconds):
            return min(max_delay, seconds)
        case Throttle(bytes_per_second=rate, of=of):
            return len(body) / rate if of == "response" else 0
        case Slice(size_bytes=size, vary_bytes=vary, pause_seconds=pause):
            left, number = len(body), 0
            while left > 0:
                left -= size if not vary else size - vary + int(uniform(draw, "slice", number) * (2 * vary + 1))
                number += 1
            return number * pause
        case Dribble(duration_seconds=seconds, pieces=pieces):
            total = min(len(body), most) if length is None else length
            spread = min(len(body), total)
            return seconds * next(n for n in range(pieces + 1) if n * total // pieces >= spread) / pieces
    return 0


def corrupted(share, unit, draw, body):
    """Byte by byte."""
    masks = corrupting.Masks(share / 100, unit, draw)
    size = corrupting.BLOCK
    changed = bytearray()
    mask = b""
    for position, byte in enumerate(body):
        if position % size == 0:
            mask = masks.mask(position // size).to_bytes(size, "little")
        changed.append(byte ^ mask[position % size])
    return bytes(changed)


def merge(target, patch):
    """RFC 7396, section 2, as it stands there."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    result = dict(target)
    for name in patch:
        if patch[name] is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), patch[name])
    return result


def _replaced(fault, whole, length, most):
    head, body = whole.head, whole.body
    kind = next((value for name, value in head.headers if name.lower() == "content-type"), "")
    kind = kind.partition(";")[0].strip().lower()
    is_encoded = any(name.lower() == "content-encoding" and value != "identity" for name, value in head.headers)
    gone = ["content-length"] + (["content-type"] if fault.content_type else [])
    if fault.text is not None:
        new = fault.text.encode()
        gone.append("content-encoding")
    else:
        is_json = kind == "application/json" or kind.endswith("+json")
        if not is_json or is_encoded or len(body) > most or (length or 0) > most:
            return whole
        try:
            value = json.loads(body)
        except ValueError:
            return whole
        new = json.dumps(merge(value, json.loads(fault.merge_patch)), ensure_ascii=False, separators=(",", ":"))
        new = new.encode()
    lines = tuple(line for line in head.headers if line[0].lower() not in gone)
    if fault.content_type:
        lines += (("content-type", fault.content_type),)
    if not any(name.lower() == "transfer-encoding" for name, _ in lines):
        lines += (("content-length", str(len(new))),)
    # A new text does not wait for the end of the application's: if that is cut off, the cut comes behind the text.
    return replace(whole, head=Head(head.status, lines), body=new)


def _place(at, head, body, length, most):
    """Where the place is, if the body reaches it; and how long the body is announced to be, or known to be."""
    match at:
        case Bytes(count):
            place, announced = count, length
        case Share(percentage):
            announced = length if length is not None else len(body) if len(body) <= most else None
            total = most if announced is None else announced
            place = int(total * percentage / 100)
        case Events(count):
            place, announced = events_end(head, body, count), length
    return (place, announced) if place is not None and place <= len(body) else (None, announced)


def events_end(head, body, count):
    """Where the event with this number ends, counted from 1; None if it does not."""
    kind = next((value for name, value in head.headers if name.lower() == "content-type"), "")
    kind = kind.partition(";")[0].strip().lower()
    if any(name.lower() == "content-encoding" and value != "identity" for name, value in head.headers):
        return None
    if kind not in ("text/event-stream", *LINE_TYPES):
        return None
    if not count:
        return 0
    position, has_data, line = 0, False, b""
    while position < len(body):
        byte = body[position : position + 1]
        position += 1
        if byte == b"\n" or (byte == b"\r" and kind == "text/event-stream"):
            if byte == b"\r" and body[position : position + 1] == b"\n":
                position += 1
            if kind == "text/event-stream":
                is_event = not line and has_data
                has_data = (has_data or line == b"data" or line.startswith(b"data:")) and bool(line)
            else:
                is_event = bool(line.strip())
            line = b""
            count -= is_event
            if not count:
                return position
        else:
            line += byte
    return None
