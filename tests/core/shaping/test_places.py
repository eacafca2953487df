"""Where events end: what a stream's bytes say, whatever the pieces are that they come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.core.faults import Events, Stall, Truncate
from faultware.core.shaping.effects import Head
from tests.core.shaping.kit import head_of, injections, play
from tests.core.shaping.made import cuts_of
from tests.core.shaping.reference import events_end

STREAM = "text/event-stream"
LINES = "application/x-ndjson"
_parts = {
    STREAM: (b"data: 1\n\n", b"data\r\r", b": ping\r\n\r\n", b"data:x\r\n\r\n", b"\n", b"\r", b"\r\n", b"database\n"),
    LINES: (b'{"a":1}\n', b"\n", b" \r\n", b"7", b"\x1e1\r\n"),
}


def _cut(kind, pieces, count, **extra):
    return play(injections([Truncate(Events(count))]), head_of(content_type=kind, **extra), pieces)


@given(data=st.data(), kind=st.sampled_from((STREAM, LINES)), count=st.integers(0, 4))
def test_events_end_where_the_reference_says_in_any_pieces(data, kind, count):
    body = b"".join(data.draw(st.lists(st.sampled_from(_parts[kind]), max_size=12)))
    place = events_end(Head(200, (("content-type", kind),)), body, count)
    for pieces in (data.draw(cuts_of(body)), [bytes([byte]) for byte in body]):
        played = _cut(kind, pieces, count)
        assert played.body == (body if place is None else body[:place])
        assert played.end == (None if place is None else "fin")


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_stream_is_cut_behind_the_blank_line_of_an_event(end):
    lines = [b": hello", b"", b"event: a", b"data: 1", b"", b"data", b"", b"data: 3", b"", b""]
    body = end.join(lines)
    played = _cut(STREAM + "; charset=utf-8", [body], 2)
    assert (played.body, played.end) == (end.join(lines[:7]) + end, "fin")


def test_the_end_of_an_event_is_known_before_the_next_one_comes():
    assert _cut(STREAM, [b"data: 1\n\n"], 1).end == "fin"
    assert _cut(STREAM, [b"data: 1\r\n\r", b"\n"], 1).body == b"data: 1\r\n\r\n"


def test_what_holds_no_data_is_no_event():
    body = b": ping\n\nid: 7\n\nretry: 10\n\n\n\ndatabase: 1\n\ndata: 1\n\n"
    assert _cut(STREAM, [body, b"data: 2\n\n"], 1).body == body


@pytest.mark.parametrize(
    "kind", ["application/json-seq", "application/jsonl", "application/x-ndjson", "Application/JSONLines; x=1"]
)
def test_newline_delimited_json_is_cut_behind_a_line(kind):
    assert _cut(kind, [b'\n{"a"', b':1}\n \n{"a":2}\n{"a":3}\n'], 2).body == b'\n{"a":1}\n \n{"a":2}\n'


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "text/html; charset=utf-8"])
def test_another_content_type_has_no_events(kind):
    played = _cut(kind, [b"data: 1\n\n" * 3], 1)
    assert (played.body, played.end) == (b"data: 1\n\n" * 3, None)


def test_a_compressed_stream_is_left_alone():
    assert _cut(STREAM, [b"data: 1\n\n" * 3], 1, headers=[("Content-Encoding", "gzip")]).end is None
    assert _cut(STREAM, [b"data: 1\n\n" * 3], 1, headers=[("Content-Encoding", "identity")]).end == "fin"


def test_no_events_at_all_is_a_place_too():
    played = _cut(STREAM, [b"data: 1\n\n"], 0)
    assert played.kinds == ["Start", "Cut"]


def test_an_event_that_ends_with_the_body_is_stalled_behind_even_if_it_ends_with_cr():
    for end in (b"\n\n", b"\r\r"):
        played = play(injections([Stall(Events(1), 3)]), head_of(content_type=STREAM), [b"data: 1" + end])
        assert played.kinds == ["Start", "Send", "Wait"]
