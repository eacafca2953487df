"""How long everything takes, and when each piece is sent."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest

from faultware.core.faults import Bytes, DelayResponse, Dribble, Slice, Stall, Throttle
from faultware.core.shaping.build import pacer, shape
from faultware.core.shaping.effects import MAX_KEPT, Send, Wait
from tests.core.shaping.kit import Adapter, Time, head_of, injections, play, rules

PIECES = [b"0123", b"456789"]


@pytest.mark.parametrize("rate", [1, 3, 10, 1000, 10**6, 10**9, 2**40])
def test_a_throttled_body_takes_its_time_to_the_last_byte_and_so_does_its_end(rate):
    played = play(injections([Throttle(rate)]), head_of(), [b"x" * 50, b"y"])
    assert played.seconds == pytest.approx(51 / rate)
    assert played.times[-1][0] == pytest.approx(51 / rate, abs=1e-8)


def test_a_throttled_body_comes_in_slices_of_a_twentieth_of_a_second():
    played = play(injections([Throttle(1000)]), head_of(), [b"x" * 120])
    assert played.times == [(0.05, 50), (0.1, 50), (0.12, 20)]


def test_slices_grow_with_the_time_so_far_up_to_a_quarter_of_a_second():
    times = play(injections([Throttle(1000)]), head_of(), [b"x" * 20_000]).times
    sizes = [size for _, size in times]
    assert sizes[:25] == [50] * 25
    assert sizes == sorted(sizes[:-1]) + sizes[-1:]
    assert max(sizes) == 250
    for at, size in times:
        assert size <= max(50, 0.04 * 1000 * at)
    assert times[-1][0] == pytest.approx(20)


def test_a_byte_a_second_is_a_rate():
    assert play(injections([Throttle(1)]), head_of(), [b"abc"]).times == [(1, 1), (2, 1), (3, 1)]


def test_idle_time_earns_no_credit():
    played = play(injections([Throttle(1000)]), head_of(), [b"x" * 50, b"y" * 50], gaps=[0, 7])
    assert played.times == [(0.05, 50), (7.1, 50)]


def test_a_wait_that_ends_late_makes_the_next_one_shorter():
    time = Time()
    adapter = Adapter(shape(injections([Throttle(1000)]), "GET", 30, time), time)
    adapter.start(head_of())
    began = time.now
    for effect in adapter.chain.feed(b"x" * 5000):
        if isinstance(effect, Wait):
            time.now = effect.until + 0.02
    assert time.now - began == pytest.approx(5.02)


def test_a_client_that_was_slow_is_not_made_up_for_by_a_burst():
    time = Time()
    chain = shape(injections([Throttle(1000)]), "GET", 30, time)
    list(chain.start(head_of()))
    sent = []
    for effect in chain.feed(b"x" * 300):
        if isinstance(effect, Wait):
            time.now = effect.until
        elif isinstance(effect, Send):
            sent.append(round(time.now - 100, 6))
            time.now += 10 if len(sent) == 3 else 0  # the client does not read
    assert sent == [0.05, 0.1, 0.15, 10.3]


def test_nor_is_a_stall_of_a_later_rule():
    played = play(rules([Throttle(1000), Stall(Bytes(100), 5)]), head_of(), [b"x" * 300])
    assert played.times == [(0.05, 50), (0.1, 50), (5.3, 200)]


def test_of_two_rates_the_lower_one_holds():
    for faults in ([Throttle(1000), Throttle(100)], [Throttle(100), Throttle(1000)]):
        assert play(rules(faults), head_of(), [b"x" * 1000]).seconds == pytest.approx(10, rel=0.01)


def test_slices_come_with_a_pause_behind_each_also_behind_the_last():
    played = play(injections([Slice(4, pause_seconds=1)]), head_of(), [b"012", b"3456789"])
    assert played.times == [(0, 3), (0, 1), (1, 4), (2, 2)]
    assert played.seconds == 3


def test_slices_vary_evenly_and_always_alike():
    def sizes(draw, pieces):
        played = play(injections([Slice(10, 4, 1.0)], draw), head_of(), pieces)
        whole = Counter()
        for second, size in played.times:
            whole[second] += size
        return list(whole.values())

    body = b"x" * 10_000
    first = sizes(0.5, [body])
    assert set(first[:-1]) == set(range(6, 15))
    assert sum(first) / len(first) == pytest.approx(10, rel=0.03)
    assert sizes(0.25, [body]) != first
    assert sizes(0.5, [body[:777], body[777:]]) == first


def test_a_dribbled_body_is_spread_evenly_and_ends_on_time():
    played = play(injections([Dribble(10, 5)]), head_of(b"0123456789"), PIECES)
    assert played.times == [(2, 2), (4, 2), (6, 2), (8, 2), (10, 2)]
    assert played.seconds == 10


def test_a_short_body_has_fewer_pieces():
    assert play(injections([Dribble(10, 5)]), head_of(b"abc"), [b"abc"]).times == [(4, 1), (8, 1), (10, 1)]
    assert play(injections([Dribble(10, 5)]), head_of(b""), []).seconds == 0


def test_a_body_of_unknown_length_is_spread_once_it_is_complete():
    played = play(injections([Dribble(10, 5)]), head_of(), PIECES, gaps=[0, 7])
    assert [at for at, _ in played.times] == [9, 11, 13, 15, 17]


def test_of_a_long_one_the_first_mebibyte_is_spread_and_the_rest_passes():
    played = play(injections([Dribble(10, 5)]), head_of(), [b"x" * MAX_KEPT, b"y" * 100, b"z" * 100])
    assert sum(size for at, size in played.times if at <= 10) == len(played.body)
    assert [size for at, size in played.times][-2:] == [100, 100]
    assert played.seconds == 10


def test_a_slow_application_is_not_slowed_further_by_a_dribble():
    played = play(injections([Dribble(10, 5)]), head_of(b"0123456789"), PIECES, gaps=[0, 20])
    assert played.times == [(2, 2), (4, 2), (24, 2), (24, 2), (24, 2)]


def test_delays_before_the_first_byte_add_up_to_the_bound():
    played = play(rules([DelayResponse(3), DelayResponse(4)]), head_of(), PIECES)
    assert (played.times[0], played.kinds[:3]) == ((7, 4), ["Wait", "Wait", "Start"])
    assert play(rules([DelayResponse(3), DelayResponse(4)]), head_of(), PIECES, max_delay=5).seconds == 5


def test_a_head_is_delayed_where_there_is_no_body_too():
    assert play(injections([DelayResponse(3)]), head_of(b"x"), [], method="HEAD").kinds == ["Wait", "Start"]


@pytest.mark.parametrize("fault", [Throttle(2**40), Throttle(10**6), Slice(2**40), Slice(5000), Stall(Bytes(5), 3)])
def test_a_huge_piece_is_cut_as_it_is_asked_for(fault):
    time, body = Time(), bytes(64 * MAX_KEPT)
    chain = shape(injections([fault]), "GET", 30, time)
    list(chain.start(head_of(body)))
    tracemalloc.start()
    try:
        for effect in chain.feed(body):
            time.now = effect.until if isinstance(effect, Wait) else time.now
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MAX_KEPT


def test_a_request_is_read_at_the_lowest_of_its_rates():
    time = Time()
    pace = pacer(rules([Throttle(1000, "request"), Throttle(100, "request"), Throttle(1)]), time)
    assert pace.slice_bytes == 5
    assert pace.until(5) == pytest.approx(100.05)
    assert pace.until(50) == pytest.approx(100.55)
    time.now = 200.0
    assert pace.until(5) == pytest.approx(200.05)


def test_a_rate_for_responses_does_not_slow_requests_nor_the_other_way_round():
    assert pacer(injections([Throttle(1000)]), Time()) is None
    assert shape(injections([Throttle(1000, "request")]), "GET", 30, Time()) is None
