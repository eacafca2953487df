"""Rules that a roll alone decides: for them no request is looked at."""

from __future__ import annotations

import random

import pytest

from faultware.core.delays import Uniform
from faultware.core.engine import Engine, Limits
from faultware.core.faults import Abort, Delay, Hang, Reset
from faultware.core.matching import Match
from faultware.core.request import Request
from faultware.core.rules import Rule
from faultware.core.ruleset import LiveRule
from faultware.core.sampling import Dice, SampleBy


def _engine(seed=None, **limits):
    return Engine(Dice(random.Random(7).random, seed), Limits(**limits))


@pytest.mark.parametrize(
    ("arguments", "is_simple"),
    [
        ({"abort": Abort(503)}, True),
        ({"delay": Delay(0.2)}, True),
        ({"hang": Hang(1.0)}, True),
        ({"reset": Reset()}, False),
        ({"delay": Delay(Uniform(0.1, 0.2))}, False),
        ({"delay": Delay(0.2), "abort": Abort(503)}, False),
        ({"abort": Abort(503, percentage=50)}, False),
        ({"abort": Abort(503), "match": Match("/a", methods=["GET"])}, False),
        ({"abort": Abort(503), "group": "g"}, False),
        ({"abort": Abort(503), "count": 3}, False),
        ({"abort": Abort(503), "every": 3}, False),
        ({"abort": Abort(503), "sample_by": SampleBy("client")}, False),
    ],
)
def test_a_roll_decides_only_for_a_rule_that_asks_nothing_of_a_request_and_always_does_the_same(arguments, is_simple):
    match = arguments.pop("match", Match("/a"))
    assert LiveRule(Rule("r", match, percentage=50, **arguments)).is_simple is is_simple


def test_a_roll_does_not_decide_for_a_rule_that_ends():
    assert not LiveRule(Rule("r", percentage=50, abort=Abort(503)), deadline=9.0).is_simple


def test_a_roll_does_not_decide_where_a_seed_does_or_the_share_of_all_rules_is_bounded():
    assert _engine().is_plain
    assert not _engine(seed=1).is_plain
    assert not _engine(max_percentage=99).is_plain


@pytest.mark.parametrize("percentage", [0, 30, 100])
@pytest.mark.parametrize("fault", [{"abort": Abort(503)}, {"delay": Delay(2.0)}], ids=["abort", "delay"])
@pytest.mark.parametrize("most", [30.0, 1.5])
@pytest.mark.parametrize("draw", [0.0, 0.29, 0.3, 0.999])
def test_a_roll_says_and_counts_what_a_decision_does(percentage, fault, most, draw):
    engine = Engine(Dice(lambda: draw), Limits(max_delay_seconds=most))
    rolled, decided = (LiveRule(Rule("r", percentage=percentage, **fault)) for _ in range(2))
    plans = engine.roll(rolled), engine.decide((decided,), Request(), 0.0)
    done = [plan and [(each.fault, each.delay_seconds) for each in plan.injections] for plan in plans]
    assert done[0] == done[1]
    assert [plan and plan.delay_seconds for plan in plans] == [plan and done[0][0][1] for plan in plans]
    assert rolled.tally.matched == rolled.tally.rolled == decided.tally.matched == decided.tally.rolled == 1
