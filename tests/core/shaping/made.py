"""Hypothesis strategies for faults of a response, and for responses that they meet."""

from __future__ import annotations

import json

from hypothesis import strategies as st

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
from faultware.core.shaping.effects import Head

# In the place of 1 MiB and 8 KiB while these run, so that short bodies meet the bounds.
MOST, BLOCK, PIECE = 40, 16, 32

_counts = st.integers(0, 130)
_seconds = st.sampled_from((0.001, 0.25, 1.0, 7.0, 100.0))
_shares = st.sampled_from((0.0, 0.1, 1.0, 7.0, 33.3, 50.0, 99.5, 99.99999, 100.0))
_places = st.one_of(_counts.map(Bytes), _shares.map(Share), st.integers(0, 3).map(Events))
_ways = st.sampled_from(("fin", "reset"))

PACING = (
    st.builds(Throttle, st.sampled_from((1, 3, 10, 100, 1000, 10**9))),
    st.builds(
        lambda size, vary, pause: Slice(size, min(vary, size - 1), pause),
        st.integers(1, 50),
        st.integers(0, 20),
        st.sampled_from((0.0, 0.001, 0.5)),
    ),
    st.builds(Dribble, _seconds, st.integers(1, 12)),
    st.builds(Stall, _places, _seconds | st.none()),
    st.builds(SlowClose, _seconds),
    st.builds(DelayResponse, _seconds),
)
CUTTING = (st.builds(Truncate, _places, _ways), st.builds(LimitData, _counts))
CORRUPTING = (st.builds(Corrupt, _shares, st.sampled_from(("bytes", "bits"))),)
HEADS = (
    st.builds(ReplaceStatus, st.sampled_from((200, 204, 205, 206, 304, 404, 500))),
    st.builds(ResponseHeaders, set=st.just({"x-a": "1"}), add=st.just({"x-b": "2"}), remove=st.just(("etag",))),
)
REPLACING = (
    st.builds(ReplaceBody, st.sampled_from(("", "gone", "x" * 50)), content_type=st.sampled_from((None, "text/x"))),
    st.builds(
        lambda patch: ReplaceBody(merge_patch=patch), st.sampled_from(('{"a":null}', '{"b":{"c":1}}', '{"é":"ü"}'))
    ),
)
RAW = (
    st.builds(ContentLength, st.sampled_from((-70, -1, 1, 70))),
    st.builds(MalformedChunk, _counts),
)
# What changes none of the bytes that pass.
TRANSPARENT = (*PACING, *CUTTING)
EVERY = (*TRANSPARENT, *CORRUPTING, *HEADS, *REPLACING, *RAW)

_events = st.lists(
    st.sampled_from((b"data: 1\n", b"data\r", b": ping\r\n", b"id:7\n", b"\n", b"\r", b"\r\n", b"dat", b"database\n"))
).map(b"".join)
_lines = st.lists(st.sampled_from((b'{"a":1}\n', b"\n", b" \n", b"7", b"\x1e1\r\n"))).map(b"".join)
# Each position has a byte of its own, so that none is mistaken for another.
_plain = st.integers(0, 120).map(lambda size: bytes(range(32, 32 + size)))
_json = st.dictionaries(st.sampled_from(("a", "b", "é")), st.sampled_from((1, None, "x", {"c": 2}, [1.5])), max_size=3)
BODIES = {
    "text/plain": _plain,
    "text/event-stream; charset=utf-8": _events,
    "application/x-ndjson": _lines,
    "application/json": _json.map(lambda value: json.dumps(value).encode()) | _plain,
}


@st.composite
def responses(draw):
    """A head and a body, whose length is announced, or is not, or which is sent in chunks."""
    kind = draw(st.sampled_from(("text/plain", *sorted(BODIES))))
    body = draw(BODIES[kind])
    lines = [("Content-Type", kind), ("etag", '"1"')]
    framing = draw(st.sampled_from(("length", "none", "chunked")))
    if framing == "length":
        lines.append(("Content-Length", str(len(body))))
    elif framing == "chunked":
        lines.append(("transfer-encoding", "chunked"))
    if draw(st.booleans()) and draw(st.booleans()):
        lines.append(("content-encoding", draw(st.sampled_from(("gzip", "identity")))))
    return Head(draw(st.sampled_from((200, 200, 200, 206, 204, 304, 500))), tuple(lines)), body


@st.composite
def cuts_of(draw, body):
    """The body in pieces, none of which is empty."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(body) - 1)), max_size=8)))
    pieces = [body[begin:end] for begin, end in zip([0, *places], [*places, len(body)], strict=True)]
    return [piece for piece in pieces if piece]


METHODS = st.sampled_from(("GET", "GET", "POST", "HEAD"))
DRAWS = st.sampled_from((0.0, 0.25, 0.7071067811865476, 1 - 2.0**-53))
