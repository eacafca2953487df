"""Parts of a group: one draw for all its rules, of which a request meets the one whose part it falls into."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from faultware.core.engine import Engine, Limits
from faultware.core.faults import Abort
from faultware.core.matching import Match
from faultware.core.request import Request
from faultware.core.rules import Rule
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.core.sampling import Dice, SampleBy, Untaken
from faultware.errors import RuleError

USER = SampleBy("header", "x-user")


def arm(name, part, percentage=100.0, status=503, **more):
    return Rule(name, percentage=percentage, abort=Abort(status), group="g", part=part, **more)


ARMS = [arm("a", (0, 10)), arm("b", (10, 30)), arm("rest", None, 0)]


def live(*rules):
    return RuleSet(map(LiveRule, rules)).live


def drawing(*draws, **limits):
    """An engine whose draws are these, in percent; one more would be an error."""
    return Engine(Dice(iter([draw / 100 for draw in draws]).__next__), Limits(**limits))


def name_of(plan):
    return plan.ending.live.rule.name if plan else ""


@pytest.mark.parametrize(
    ("draw", "name"), [(0, "a"), (9.99, "a"), (10, "b"), (29.99, "b"), (30, ""), (99.99, "")], ids=str
)
def test_a_request_draws_once_for_a_group_and_meets_the_rule_whose_part_that_is(draw, name):
    arms = live(*ARMS)
    # The second draw is the rule's own.
    assert name_of(drawing(draw, 0).decide(arms, Request(), 0)) == name
    assert sum(entry.tally.matched for entry in arms) == 1


def test_a_rule_rolls_its_own_percentage_within_its_part():
    arms = live(arm("a", (0, 10), 50), arm("b", (0, 100)))
    assert name_of(drawing(5, 49).decide(arms, Request(), 0)) == "a"
    assert drawing(5, 51).decide(arms, Request(), 0) is None


def test_of_parts_that_overlap_the_first_takes_what_both_have():
    arms = live(arm("a", (20, 40)), arm("b", (0, 60)))
    assert [name_of(drawing(draw, 0).decide(arms, Request(), 0)) for draw in (10, 30, 50, 70)] == ["b", "a", "b", ""]


def test_a_rule_that_does_not_match_leaves_its_part_to_whoever_else_has_it():
    arms = live(arm("a", (0, 50), match=Match(methods=["POST"])), arm("b", (0, 100)))
    assert name_of(drawing(10, 0).decide(arms, Request(), 0)) == "b"


def test_groups_draw_for_themselves():
    arms = live(arm("a", (0, 50), 0), Rule("b", percentage=100, abort=Abort(500), group="h", part=(50, 100)))
    assert name_of(drawing(10, 99, 60, 0).decide(arms, Request(), 0)) == "b"


@pytest.mark.parametrize("seed", [None, 7])
def test_who_sticks_to_a_key_is_always_in_the_same_part(seed):
    arms = live(*(arm(name, part, sample_by=USER) for name, part in (("a", (0, 30)), ("b", (30, 100)))))
    users = [Request(headers=[("x-user", str(number))]) for number in range(2000)]
    engines = [Engine(Dice(random.Random(number).random, seed), Limits()) for number in range(2)]
    first, second = ([name_of(engine.decide(arms, user, 0)) for user in users] for engine in engines)
    assert first == second
    # A function of the group's name: the same on every machine.
    assert Counter(first) == ({"b": 1383, "a": 617} if seed is None else {"b": 1433, "a": 567})


def test_a_request_without_the_key_is_in_no_part():
    arms = live(arm("a", (0, 100), sample_by=USER), arm("b", None))
    assert name_of(drawing(0).decide(arms, Request(), 0)) == "b"


def test_an_expired_rule_leaves_its_part_empty():
    arms = RuleSet([LiveRule(ARMS[0], 10.0), LiveRule(ARMS[1])]).live
    assert name_of(drawing(5, 0).decide(arms, Request(), 9)) == "a"
    assert drawing(5, 0).decide(arms, Request(), 10) is None


@pytest.mark.parametrize(
    ("rules", "chance"),
    [
        # 10 % and 20 %, which exclude each other.
        (ARMS, 30),
        ([arm("a", (0, 10), 50), arm("b", (10, 30), 50)], 15),
        ([arm("a", (20, 40)), arm("b", (0, 60), 50)], 40),
        ([arm("a", (0, 10)), arm("b", None, 50)], 55),
        # Another group, or none, draws by itself: 1 - 0.9 * 0.5.
        ([arm("a", (0, 10)), Rule("b", percentage=50, abort=Abort(500))], 55),
    ],
)
def test_the_greatest_share_knows_what_falls_to_each(rules, chance):
    arms = live(*rules)
    # What fires is thinned out by a last draw: it stands for most / chance.
    for most, draw, fires in ((chance / 2, 49, True), (chance / 2, 51, False), (chance, 99, True)):
        plan = drawing(0, 0, draw, max_percentage=most).decide(arms, Request(), 0)
        assert (plan is not None) is fires


def test_what_is_taken_is_not_taken_again():
    untaken = Untaken()
    taken = [untaken.take("g", part) for part in ((20, 40), (10, 50), None, (0, 100))]
    assert taken == [0.2, 0.2, 0.6, 0]
    assert untaken.take("h", (0, 1)) == 0.01
    assert [untaken.take("", None) for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (10, "part: 10 is not a part (from and to, in percent: [10, 30])"),
        ((1, 2, 3), "part: (1, 2, 3) is not a part (from and to, in percent: [10, 30])"),
        ((0, 101), "part: 101 is not a percentage (a percentage lies between 0 and 100)"),
        ((30, 10), "part: there is nothing from 30 to 10 (the lesser one first)"),
    ],
)
def test_what_is_no_part_is_refused(part, message):
    with pytest.raises(RuleError) as caught:
        arm("a", part)
    assert str(caught.value) == message


def test_a_part_needs_a_group():
    with pytest.raises(RuleError) as caught:
        Rule("a", percentage=100, abort=Abort(503), part=(0, 10))
    assert str(caught.value) == "part: a part is one of a group's draw (name the group besides)"
