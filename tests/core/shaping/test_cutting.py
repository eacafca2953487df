"""Cuts and stalls at a place of a body."""

from __future__ import annotations

import pytest

from faultware.core.faults import Bytes, Dribble, LimitData, Share, SlowClose, Stall, Throttle, Truncate
from faultware.core.shaping.effects import MAX_KEPT
from tests.core.shaping.kit import head_of, injections, play, rules

BODY = b"0123456789"
PIECES = [b"0123", b"456789"]


def _play(fault, *, announced=True, pieces=PIECES, **extra):
    return play(injections([fault]), head_of(b"".join(pieces) if announced else None), pieces, **extra)


@pytest.mark.parametrize("by", ["fin", "reset"])
def test_just_so_many_bytes_pass_and_content_length_stays(by):
    played = _play(Truncate(Bytes(5), by))
    assert (played.body, played.end) == (b"01234", by)
    assert played.head.length == 10


def test_a_share_is_of_the_announced_length():
    assert _play(Truncate(Share(25))).body == b"01"
    assert _play(Truncate(Share(0))).kinds == ["Start", "Cut"]


def test_a_share_of_an_unknown_length_waits_for_the_end_of_the_body():
    played = _play(Truncate(Share(50)), announced=False)
    assert (played.body, played.end, played.kinds) == (b"01234", "fin", ["Start", "Send", "Cut"])


def test_beyond_a_mebibyte_a_share_counts_of_that():
    pieces = [b"x" * 700_000] * 3
    played = _play(Truncate(Share(50)), announced=False, pieces=pieces)
    assert (len(played.body), played.end) == (MAX_KEPT // 2, "fin")
    assert len(_play(Truncate(Share(100)), announced=False, pieces=pieces).body) == MAX_KEPT


@pytest.mark.parametrize("at", [Bytes(10), Bytes(11), Share(100)])
def test_a_body_that_is_announced_to_end_there_passes_whole(at):
    played = _play(Truncate(at))
    assert (played.body, played.end) == (BODY, None)


def test_a_body_of_unknown_length_is_cut_as_soon_as_the_place_is_reached():
    assert _play(Truncate(Bytes(10)), announced=False).end == "fin"
    assert _play(Truncate(Bytes(11)), announced=False).end is None
    assert _play(Truncate(Share(100)), announced=False).end is None


def test_a_limit_cuts_even_where_the_body_ends():
    assert _play(LimitData(10)).end == "fin"
    assert _play(LimitData(3)).body == b"012"
    assert _play(LimitData(11)).end is None
    assert _play(LimitData(0)).kinds == ["Start", "Cut"]


def test_a_partial_response_is_cut_like_any_other():
    head = head_of(BODY, status=206, headers=[("content-range", "bytes 0-9/100")])
    played = play(injections([Truncate(Share(50))]), head, PIECES)
    assert (played.head, played.body) == (head, b"01234")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 205), ("GET", 304)])
def test_where_there_is_no_body_nothing_is_cut(method, status):
    for fault in (Truncate(Bytes(0)), LimitData(0), Stall(Bytes(0)), SlowClose(3)):
        played = play(injections([fault]), head_of(BODY, status=status), [], method=method)
        assert played.kinds == ["Start"]


def test_a_stall_holds_what_comes_behind_the_place():
    played = _play(Stall(Bytes(5), 3))
    assert played.times == [(0, 4), (0, 1), (3, 5)]


def test_a_stall_at_the_end_holds_the_end():
    assert _play(Stall(Share(100), 3)).kinds == ["Start", "Send", "Send", "Wait"]


def test_a_stall_is_bounded_and_lasts_so_long_if_nothing_is_said():
    assert _play(Stall(Bytes(5), 300), max_delay=20).seconds == 20
    assert _play(Stall(Bytes(5)), max_delay=20).seconds == 20


def test_a_slow_close_holds_the_end_and_is_bounded():
    played = _play(SlowClose(3))
    assert (played.times, played.seconds, played.kinds[-1]) == ([(0, 4), (0, 6)], 3, "Wait")
    assert _play(SlowClose(300), max_delay=20).seconds == 20


def test_what_a_later_rule_has_kept_goes_out_before_the_cut_of_an_earlier_one():
    faults = [Truncate(Bytes(5)), Dribble(10, 5), SlowClose(3)]
    played = play(rules(faults), head_of(), PIECES)
    assert (played.body, played.end, played.seconds) == (b"01234", "fin", 13)


def test_nothing_comes_behind_the_first_of_two_cuts():
    played = play(rules([Truncate(Bytes(7)), Truncate(Bytes(5), "reset")]), head_of(BODY), PIECES)
    assert (played.body, played.end) == (b"01234", "reset")
    played = play(rules([Truncate(Bytes(5)), Truncate(Bytes(7), "reset")]), head_of(BODY), PIECES)
    assert (played.body, played.end) == (b"01234", "fin")


def test_a_release_while_the_connection_drains_calls_the_cut_off():
    played = _play(Truncate(Bytes(5)), release_after=3)
    assert (played.kinds, played.body, played.end) == (["Start", "Send", "Send", "Send"], BODY, None)


def test_a_release_lets_go_what_is_kept_until_the_end_of_the_body():
    for fault in (Truncate(Share(50)), Stall(Share(50), 3), Dribble(10)):
        for after in range(5):
            played = play(rules([Throttle(10), fault]), head_of(), PIECES, release_after=after)
            assert (played.body, played.end) == (BODY, None)


def test_a_release_lets_go_what_all_rules_hold_in_their_order():
    faults = [Throttle(100), Stall(Bytes(0), 20), Dribble(10, 2)]
    for after in range(8):
        played = play(rules(faults), head_of(), [b"0123456789" * 3, b"abc"], release_after=after)
        assert played.body == b"0123456789" * 3 + b"abc"
        assert played.end is None
