"""The share of a rule over time; turns, alternatives and budgets."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware import Abort, Match, Rule, RuleError
from faultware.core.budgets import MAX_CALLERS, Budget
from faultware.core.engine import Engine, Limits
from faultware.core.faults import RateLimit, Reset, Truncate
from faultware.core.faults.forms import Share
from faultware.core.request import Request
from faultware.core.rules import Choice
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.core.sampling import Dice
from faultware.core.schedules import Schedule


def test_a_ramp_goes_from_one_share_to_the_other_and_stays_there():
    ramp = Schedule(start_after_seconds=60, from_percentage=1, ramp_seconds=300)
    shares = [ramp.percentage_at(elapsed, 20) for elapsed in (0, 59.9, 60, 210, 360, 10_000)]
    assert shares == [0, 0, 1, 10.5, 20, 20]


def test_a_rule_stops_when_its_time_is_over():
    brief = Schedule(from_percentage=1, ramp_seconds=300, stop_after_seconds=300)
    assert brief.percentage_at(299.999, 20) == pytest.approx(20, abs=0.01)
    assert brief.percentage_at(300, 20) == 0


@given(st.floats(0, 1e5), st.floats(0, 100), st.floats(0, 100))
def test_a_share_is_always_between_both_ends_or_nothing(elapsed, low, high):
    ramp = Schedule(start_after_seconds=10, from_percentage=low, ramp_seconds=100, stop_after_seconds=1000)
    share = ramp.percentage_at(elapsed, high)
    assert share == 0 or min(low, high) - 1e-9 <= share <= max(low, high) + 1e-9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({}, "nothing is scheduled"), ({"from_percentage": 5, "stop_after_seconds": 9}, "a ramp takes time")],
)
def test_a_schedule_that_says_nothing_is_refused(arguments, message):
    with pytest.raises(RuleError, match=message):
        Schedule(**arguments)


def test_the_engine_rolls_against_the_share_of_the_moment():
    rule = Rule("a", percentage=100, abort=Abort(503), schedule=Schedule(start_after_seconds=10, ramp_seconds=100))
    live, engine = [LiveRule(rule, began=5.0)], Engine(Dice(lambda: 0.5), Limits())
    assert RuleSet(live).needs_time
    fired = [engine.decide(live, Request(), now) is not None for now in (0.0, 16.0, 65.0, 66.0, 500.0)]
    assert fired == [False, False, False, True, True]


# Turns.


@pytest.mark.parametrize(
    ("given", "turns"),
    [
        ({"first": 3}, [1, 2, 3]),
        ({"every": 4}, [4, 8, 12]),
        ({"first": 2, "every": 3}, [1, 2, 5, 8, 11]),
    ],
)
def test_the_first_so_many_and_then_every_so_manieth_take_part(given, turns):
    live = [LiveRule(Rule("a", percentage=100, abort=Abort(503), **given))]
    engine = Engine(Dice(lambda: 0.0), Limits())
    assert [turn for turn in range(1, 13) if engine.decide(live, Request(), 0) is not None] == turns


# Alternatives.

CHOICES = [Choice(3, Abort(503)), Choice(1, Reset()), Choice(6, Truncate(Share(50)))]


def test_alternatives_are_drawn_by_their_weights():
    rule = Rule("a", percentage=100, choose=CHOICES)
    seen = Counter(rule.alternative(step / 1000).kind for step in range(1000))
    assert seen == {"abort": 300, "reset": 100, "truncate": 600}
    assert rule.alternative(1 - 2.0**-53).kind == "truncate"


def test_of_alternatives_exactly_one_is_done_and_one_that_ends_the_request_ends_the_search():
    rules = [Rule("a", percentage=100, choose=CHOICES), Rule("b", percentage=100, abort=Abort(500))]
    draws = iter([0.0, 0.1, 0.5, 0.5, 0.5])
    engine = Engine(Dice(draws.__next__), Limits())
    live = [LiveRule(rule) for rule in rules]
    assert engine.decide(live, Request(), 0).ending.fault == Abort(503)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"choose": [Choice(1, Abort(503))], "reset": Reset()}, "two faults end the request: reset and abort"),
        ({"choose": [Abort(503)]}, "these are no alternatives"),
    ],
)
def test_alternatives_that_are_not_possible_are_refused(given, message):
    with pytest.raises(RuleError, match=message):
        Rule(percentage=100, **given)


@pytest.mark.parametrize("weight", [0, 1.5, True, "3", 10**7])
def test_a_weight_is_a_whole_number(weight):
    with pytest.raises(RuleError, match="is not a weight"):
        Choice(weight, Abort(503))


# Budgets.


def test_a_budget_allows_its_number_at_once_and_then_fills_up_evenly():
    budget, limit = Budget(), RateLimit(3, 60)
    assert [budget.spend(limit, "me", 0.0) for _ in range(3)] == [0, 0, 0]
    assert budget.spend(limit, "me", 0.0) == pytest.approx(20)
    assert budget.spend(limit, "me", 19.0) == pytest.approx(1)
    assert budget.spend(limit, "me", 20.0) == 0
    assert budget.spend(limit, "me", 20.0) == pytest.approx(20)


def test_callers_have_budgets_of_their_own_and_whoever_cannot_be_told_apart_has_no_limit():
    budget, limit = Budget(), RateLimit(1, 60)
    assert [budget.spend(limit, who, 0.0) for who in ("a", "b", None, None)] == [0, 0, 0, 0]
    assert budget.spend(limit, "a", 0.0) > 0


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5))
def test_no_caller_ever_gets_more_than_the_burst_and_the_rate(gaps, most):
    budget, limit, now, allowed = Budget(), RateLimit(most, 10), 0.0, []
    for gap in gaps:
        now += gap
        if not budget.spend(limit, "me", now):
            allowed.append(now)
    for index, start in enumerate(allowed):
        within = [at for at in allowed[index:] if at - start < 10 - 1e-3]
        assert len(within) <= 2 * most


def test_callers_beyond_a_bound_push_out_the_first():
    budget, limit = Budget(), RateLimit(1, 60)
    for number in range(MAX_CALLERS + 1):
        budget.spend(limit, str(number), 0.0)
    assert len(budget._full_at) == MAX_CALLERS
    assert budget.spend(limit, "0", 0.0) == 0


def test_the_engine_answers_429_only_once_the_budget_is_used_up():
    rule = Rule("a", Match("/p"), percentage=100, rate_limit=RateLimit(2, 60))
    live, engine = [LiveRule(rule)], Engine(Dice(lambda: 0.0), Limits())
    asked = Request(path="/p", client="10.0.0.7")
    assert [engine.decide(live, asked, 0.0) for _ in range(2)] == [None, None]
    plan = engine.decide(live, asked, 5.0)
    assert (plan.ending.kind, plan.ending.retry_after_seconds) == ("rate_limit", 25)
    answer = rule.rate_limit.answer(25)
    assert (answer.status, dict(answer.headers)["retry-after"]) == (429, "25")
