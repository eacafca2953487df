"""Chance: never, always, shares, seeds, and what a decision sticks to."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.core import sampling
from faultware.core.request import Request
from faultware.core.sampling import Dice, SampleBy, check_percentage
from faultware.errors import RuleError


class _Refusal(Exception):
    pass


def _no_chance():
    raise _Refusal


@pytest.mark.parametrize("value", [0, 0.5, 1, 99.999, 100])
def test_a_percentage_lies_between_0_and_100(value):
    assert check_percentage(value) == value
    assert isinstance(check_percentage(value), float)


@pytest.mark.parametrize("value", [-0.0001, 100.0001, math.nan, math.inf, -math.inf, True, "10", None, 1j, 10**400])
def test_any_other_percentage_is_refused(value):
    with pytest.raises(RuleError, match=r"share: .* is not a percentage"):
        check_percentage(value, "share")


def test_unseeded_dice_are_the_given_source_of_chance():
    draws = iter((0.25, 0.75))
    dice = Dice(lambda: next(draws))
    assert [dice.roll("a", "rule", None, Request()) for _ in range(2)] == [0.25, 0.75]


def test_seeded_and_sticky_dice_ask_no_source_of_chance():
    assert 0 <= Dice(_no_chance, 7).roll("a", "rule", None, Request()) < 1
    assert 0 <= Dice(_no_chance).roll("a", "rule", "user-7", Request()) < 1
    with pytest.raises(_Refusal):
        Dice(_no_chance).roll("a", "rule", None, Request())


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 8},
        {"rule": "b"},
        {"purpose": "abort"},
        {"method": "POST"},
        {"path": "/b"},
        {"query": "x=2"},
        {"key": "user-7"},
    ],
)
def test_a_seeded_draw_depends_on_seed_rule_purpose_and_request(other):
    base = {"seed": 7, "rule": "a", "purpose": "rule", "key": None, "method": "GET", "path": "/a", "query": "x=1"}

    def draw(seed, rule, purpose, key, method, path, query):
        return Dice(_no_chance, seed).roll(rule, purpose, key, Request(method, path, query_string=query))

    assert draw(**base) == draw(**base)
    assert draw(**base) != draw(**{**base, **other})


def test_a_seeded_draw_does_not_depend_on_headers_or_the_client():
    one = Request(headers=[("x", "1")], client="10.0.0.1")
    assert Dice(_no_chance, 7).roll("a", "rule", None, one) == Dice(_no_chance, 7).roll("a", "rule", None, Request())


@given(st.integers(), st.text(), st.text(), st.none() | st.text(), st.text())
def test_every_draw_lies_in_the_half_open_interval(seed, rule, purpose, key, path):
    assert 0 <= Dice(_no_chance, seed).roll(rule, purpose, key, Request(path=path)) < 1


@pytest.mark.parametrize(("digest", "draw"), [(b"\xff" * 8, 1 - 2.0**-53), (b"\x00" * 8, 0.0)])
def test_the_extreme_digests_stay_in_the_interval_so_that_100_percent_is_always(monkeypatch, digest, draw):
    class Digest:
        def __init__(self, *_, **__):
            pass

        def digest(self):
            return digest

    monkeypatch.setattr(sampling, "blake2b", Digest)
    rolled = Dice(_no_chance, 7).roll("a", "rule", None, Request())
    assert rolled == draw
    assert rolled * 100 < 100
    assert not rolled * 100 < 0


def test_seeded_draws_are_even():
    """20,000 draws in 20 bins: chi squared with 19 degrees of freedom exceeds 60 once in 250,000 times."""
    dice = Dice(_no_chance, 7)
    bins = Counter(int(dice.roll("a", "rule", None, Request(path=f"/{number}")) * 20) for number in range(20_000))
    assert set(bins) == set(range(20))
    assert sum((bins[number] - 1000) ** 2 / 1000 for number in range(20)) < 60


def test_draws_of_two_rules_and_two_purposes_are_independent():
    """20,000 pairs: the correlation stays within five standard deviations of nothing."""
    dice = Dice(_no_chance, 7)
    for one, other in ((("a", "rule"), ("b", "rule")), (("a", "rule"), ("a", "abort"))):
        requests = [Request(path=f"/{number}") for number in range(20_000)]
        pairs = [(dice.roll(*one, None, r) - 0.5, dice.roll(*other, None, r) - 0.5) for r in requests]
        assert abs(sum(x * y for x, y in pairs) * 12 / len(pairs)) < 5 / math.sqrt(len(pairs))


_PROGRAM = """
import json, random
from faultware.core.request import Request
from faultware.core.sampling import Dice, SampleBy
dice, unseeded = Dice(random.random, 42), Dice(random.random)
draws = [dice.roll("pay-503", "rule", None, Request("GET", f"/pay/{n}", query_string="a=1")) for n in range(50)]
sticky = [unseeded.roll("pay-503", "rule", f"user-{n}", Request()) for n in range(50)]
print(json.dumps([draws, sticky]))
"""


def test_seeded_and_sticky_draws_are_the_same_in_every_process():
    outcomes = []
    for hash_seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        outcomes.append(json.loads(done.stdout))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    dice = Dice(random.random, 42)
    here = [dice.roll("pay-503", "rule", None, Request("GET", f"/pay/{n}", query_string="a=1")) for n in range(50)]
    assert outcomes[0][0] == here
    # Written down, so that another version and another machine decide alike too.
    assert dice.roll("pay-503", "rule", None, Request()) == 0.5040715980815224


REQUEST = Request(
    query_string="user=7&user=8&empty=",
    headers=[("X-User-Id", "a"), ("x-user-id", "b"), ("cookie", "session=s1")],
    client="10.0.0.7",
)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("header:X-USER-ID", "a"),
        ("header:x-other", None),
        ("cookie:session", "s1"),
        ("cookie:Session", None),
        ("query:user", "7"),
        ("query:empty", ""),
        ("query:other", None),
        ("client", "10.0.0.7"),
    ],
)
def test_a_decision_sticks_to_the_first_value_of_its_key(text, key):
    assert SampleBy.parse(text).key(REQUEST) == key


def test_a_request_without_a_client_has_no_client_key():
    assert SampleBy.parse("client").key(Request()) is None


@pytest.mark.parametrize("text", ["header:x-user-id", "cookie:Session", "query:a:b", "client"])
def test_a_source_of_a_key_prints_as_it_is_read(text):
    assert str(SampleBy.parse(text)) == text
    assert SampleBy.parse(str(SampleBy.parse(text))) == SampleBy.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no source of a key (one of header:NAME, cookie:NAME, query:NAME, client)"),
        ("path:x", "'path' is no source of a key"),
        ("Header:x", "'Header' is no source of a key"),
        ("header", "header needs a name (write header:NAME)"),
        ("query:", "query needs a name"),
        ("client:x", "client takes no name (write client)"),
    ],
)
def test_any_other_source_of_a_key_is_refused(text, message):
    with pytest.raises(RuleError) as caught:
        SampleBy.parse(text)
    assert f"sample_by: {message}" in str(caught.value)


def test_the_name_of_a_key_is_a_text():
    with pytest.raises(RuleError, match=r"sample_by: 7 is not a name \(write header:NAME\)"):
        SampleBy("header", 7)
