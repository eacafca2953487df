"""Responses whose framing is wrong, written past the server."""

from __future__ import annotations

import pytest

from faultware.core.faults import ContentLength, DelayResponse, MalformedChunk, ReplaceStatus, SlowClose, Throttle
from faultware.core.shaping.effects import MAX_KEPT, Head
from tests.core.shaping.kit import dechunked, head_of, injections, play, rules

PIECES = [b"0123", b"456789"]
BODY = b"0123456789"


def _play(fault, head, pieces=PIECES, **extra):
    return play(injections([fault]), head, pieces, **extra)


def _parts(raw):
    head, _, body = raw.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), body


def test_another_length_is_announced_than_the_body_has():
    head = Head(404, (("Content-Type", "text/plain"), ("Content-Length", "10"), ("Connection", "x")), "Nowhere")
    played = _play(ContentLength(5), head)
    lines, body = _parts(played.raw)
    assert lines == ["HTTP/1.1 404 Nowhere", "Content-Type: text/plain", "content-length: 15", "connection: close"]
    assert (body, played.end, played.head) == (BODY, "fin", None)


@pytest.mark.parametrize(("off_by", "announced"), [(-3, 7), (-10, 0), (-99, 0), (1, 11)])
def test_an_announced_length_is_never_below_nothing(off_by, announced):
    for head in (head_of(BODY), head_of()):
        lines, body = _parts(_play(ContentLength(off_by), head).raw)
        assert f"content-length: {announced}" in lines
        assert (lines[0], body) == ("HTTP/1.1 200 OK", BODY)


def test_a_body_of_announced_length_is_not_kept():
    assert _play(ContentLength(5), head_of(BODY)).kinds == ["Raw", "Raw", "Raw", "Cut"]
    assert _play(ContentLength(5), head_of()).kinds == ["Raw", "Cut"]


def test_of_a_long_body_of_unknown_length_a_mebibyte_is_sent():
    played = _play(ContentLength(5), head_of(), [b"x" * 700_000] * 3)
    lines, body = _parts(played.raw)
    assert f"content-length: {MAX_KEPT + 5}" in lines
    assert (len(body), played.end) == (MAX_KEPT, "fin")


def test_chunks_go_wrong_behind_so_many_bytes():
    played = _play(MalformedChunk(6), head_of(BODY))
    lines, _ = _parts(played.raw)
    assert lines[-2:] == ["transfer-encoding: chunked", "connection: close"]
    assert "content-length: 10" not in lines
    assert dechunked(played.raw) == (b"012345", b"zz\r\n")
    assert (played.end, played.head) == ("fin", None)


def test_chunks_go_wrong_at_once_or_at_the_end():
    played = _play(MalformedChunk(), head_of(BODY))
    assert (dechunked(played.raw), played.kinds) == ((b"", b"zz\r\n"), ["Raw", "Raw", "Cut"])
    assert dechunked(_play(MalformedChunk(99), head_of(BODY)).raw) == (BODY, b"zz\r\n")


@pytest.mark.parametrize("fault", [ContentLength(5), MalformedChunk()])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_where_there_is_no_body_the_framing_is_right(fault, method, status):
    played = _play(fault, head_of(status=status), [], method=method)
    assert (played.kinds, played.raw) == (["Start"], b"")


def test_nothing_in_a_head_can_end_a_line_and_what_is_not_latin_1_is_a_question_mark():
    head = Head(299, (("x-a", "1\r\nx-b: 2\0"), ("x-ü", "€")))
    lines, _ = _parts(_play(MalformedChunk(), head).raw)
    assert lines[:3] == ["HTTP/1.1 299 ", "x-a: 1x-b: 2", "x-ü: ?"]


def test_a_status_and_a_rate_of_the_same_rule_hold_for_raw_responses():
    faults = [ContentLength(5), Throttle(10), ReplaceStatus(503), DelayResponse(2)]
    played = play(injections(faults), head_of(BODY), PIECES)
    lines, body = _parts(played.raw)
    assert (lines[0], body) == ("HTTP/1.1 503 Service Unavailable", BODY)
    assert played.seconds == pytest.approx(3)


def test_a_response_that_is_kept_when_it_is_released_goes_to_the_server():
    played = play(rules([Throttle(10), ContentLength(5)]), head_of(), PIECES, release_after=1)
    assert (played.raw, played.body, played.end) == (b"", BODY, None)


def test_the_end_is_cut_if_it_is_the_end_that_is_released():
    for fault in (ContentLength(5), MalformedChunk(99)):
        played = play(rules([SlowClose(3), fault]), head_of(BODY), PIECES, release_after=3)
        assert (played.kinds[-1], played.end, played.seconds) == ("Cut", "fin", 0)


def test_one_whose_head_has_gone_past_the_server_goes_on_that_way():
    for after in range(1, 9):
        played = play(rules([Throttle(10), ContentLength(5)]), head_of(BODY), PIECES, release_after=after)
        assert (_parts(played.raw)[1], played.end) == (BODY, "fin")


def test_chunks_that_are_released_before_they_went_wrong_end_as_they_should():
    for after in range(1, 8):
        faults = [Throttle(10), MalformedChunk(9)]
        played = play(rules(faults), head_of(BODY), PIECES, release_after=after)
        assert dechunked(played.raw) == (BODY, b"0\r\n\r\n")
        assert played.end == "fin"


@pytest.mark.parametrize("fault", [ContentLength(5), MalformedChunk(3), MalformedChunk(99)])
@pytest.mark.parametrize("announced", [True, False])
def test_a_connection_that_was_written_to_past_the_server_is_always_ended(fault, announced):
    for after in range(12):
        for pieces in (PIECES, [b"x" * MAX_KEPT, b"y"]):
            head = head_of(b"".join(pieces)) if announced else head_of()
            played = _play(fault, head, pieces, release_after=after)
            assert (played.end == "fin") is bool(played.raw)
