"""How much is changed, and that it is always the same."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from faultware.core.faults import Corrupt
from faultware.core.shaping.corrupting import BLOCK, Masks
from tests.core.shaping.kit import head_of, injections, play

BODY = bytes(200_000)


def _changed(fault, pieces, draw=0.25):
    return play(injections([fault], draw), head_of(), pieces).body


def _hits(data, unit):
    return len(data) - data.count(0) if unit == "bytes" else int.from_bytes(data, "big").bit_count()


@pytest.mark.parametrize("unit", ["bytes", "bits"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.390625, 1, 5, 33.3, 50, 75, 99, 99.9, 99.9999, 100])
def test_the_share_is_what_was_asked_for(unit, share):
    body = bytes(max(1, 1_000_000 // (1 if unit == "bytes" else 8)))
    trials, chance = 1_000_000, share / 100
    hits = _hits(_changed(Corrupt(share, unit), [body]), unit)
    # Five deviations: one run in a million would fail, and the draw is fixed.
    assert abs(hits - trials * chance) <= 5 * math.sqrt(trials * chance * (1 - chance))


@pytest.mark.parametrize("unit", ["bytes", "bits"])
def test_shares_add_up_over_many_draws(unit):
    size = BLOCK * (8 if unit == "bits" else 1)
    for share in (0.003, 0.02, 0.7):
        hits = [
            _hits(Masks(share, unit, number / 100).mask(7).to_bytes(BLOCK, "little"), unit) for number in range(100)
        ]
        mean, deviation = size * share, math.sqrt(size * share * (1 - share))
        assert abs(sum(hits) / 100 - mean) < 5 * deviation / 10
        assert max(abs(number - mean) for number in hits) < 6 * deviation
        assert len(set(hits)) > 10


@pytest.mark.parametrize("unit", ["bytes", "bits"])
@pytest.mark.parametrize("share", [0.1, 10, 50])
def test_pieces_do_not_matter(unit, share):
    whole = _changed(Corrupt(share, unit), [BODY])
    assert len(whole) == len(BODY)
    pieces = [BODY[begin : begin + size] for size in (777,) for begin in range(0, len(BODY), size)]
    assert _changed(Corrupt(share, unit), pieces) == whole
    assert _changed(Corrupt(share, unit), [b"\0"] * 100 + [BODY[100:]]) == whole


@pytest.mark.parametrize("unit", ["bytes", "bits"])
def test_the_draw_decides_and_blocks_differ(unit):
    fault = Corrupt(5, unit)
    assert _changed(fault, [BODY]) == _changed(fault, [BODY])
    assert _changed(fault, [BODY], 0.5) != _changed(fault, [BODY])
    masks = Masks(0.05, unit, 0.25)
    assert masks.mask(0) != masks.mask(1)


def test_a_byte_that_is_hit_becomes_any_other_one():
    for byte in (0, 255, 65):
        changed = _changed(Corrupt(100), [bytes([byte]) * 100_000])
        assert set(changed) == set(range(256)) - {byte}


def test_all_bits_are_turned():
    assert _changed(Corrupt(100, "bits"), [b"\x0f\xf0" * 9000]) == b"\xf0\x0f" * 9000


def test_nothing_is_changed_of_what_has_no_share():
    assert _changed(Corrupt(0), [BODY]) == BODY


@pytest.mark.parametrize("share", [5e-324, 1e-15, 1 - 2.0**-53])
def test_shares_at_the_ends_of_what_a_float_holds_are_possible(share):
    for unit in ("bytes", "bits"):
        assert Masks(share, unit, 0.25).mask(3) in (0, (1 << 8 * BLOCK) - 1) or unit == "bytes"


@pytest.mark.parametrize("unit", ["bytes", "bits"])
def test_hits_go_on_where_there_are_more_than_was_expected(unit):
    masks = Masks(1 / 300, unit, 0.25)
    masks._expected = 0.0  # so that they are drawn eight at a time
    mask = masks.mask(0).to_bytes(BLOCK, "little")
    places = [place for place, byte in enumerate(mask) if byte]
    gaps = [later - earlier for earlier, later in pairwise(places)]
    assert gaps[:8] != gaps[8:16]


def test_a_body_is_passed_on_in_pieces_that_are_not_too_large():
    played = play(injections([Corrupt(1)]), head_of(), [bytes(1_000_000)])
    assert max(size for _, size in played.times) <= 65536


def test_what_has_not_been_corrupted_yet_is_released_as_it_came():
    body = bytes(200_000)
    corrupted = _changed(Corrupt(100), [body])
    played = play(injections([Corrupt(100)]), head_of(), [body], release_after=2)
    assert (len(played.body), played.body[:131_072]) == (len(body), corrupted[:131_072])
    assert not any(played.body[131_072:])
