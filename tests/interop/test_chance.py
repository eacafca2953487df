"""The bounds of the comparisons of shares: what is right passes, what is wrong does not."""

from __future__ import annotations

import math

import pytest

from tests.interop.chance import DOUBT, chances, is_chance, may_differ_by

TRIES = 1500


@pytest.mark.parametrize("share", [0.025, 0.1, 0.3, 0.8])
def test_the_counts_that_pass_have_all_chances_but_the_doubt(share):
    each = chances(TRIES, share)
    assert math.fsum(each) == pytest.approx(1, abs=1e-9)
    passing = [count for count in range(TRIES + 1) if is_chance(count, TRIES, share)]
    assert passing == list(range(passing[0], passing[-1] + 1))
    missing = math.fsum(each[: passing[0]]) + math.fsum(each[passing[-1] + 1 :])
    assert 0 < missing <= DOUBT


@pytest.mark.parametrize("share", [0.025, 0.1, 0.3, 0.8])
def test_differences_that_pass_have_all_chances_but_the_doubt(share):
    farthest = max(apart for apart in range(TRIES) if may_differ_by(apart, TRIES, share))
    deviation = math.sqrt(2 * TRIES * share * (1 - share))
    # One in a hundred million is 5.73 deviations, where chance is normal.
    assert 5.6 < farthest / deviation < 6.2
    assert may_differ_by(-farthest, TRIES, share)
    assert not may_differ_by(-farthest - 1, TRIES, share)


@pytest.mark.parametrize(("share", "wrong"), [(0.1, 0.15), (0.025, 0.06), (0.3, 0.38), (0.8, 0.88)])
def test_a_wrong_share_does_not_pass(share, wrong):
    assert not is_chance(round(TRIES * wrong), TRIES, share)
