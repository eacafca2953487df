"""Decisions: every rule its own dice, delays that add up, one end, groups, shares, deadlines."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faultware.core.delays import Exponential
from faultware.core.engine import Engine, Limits
from faultware.core.faults import Abort, Delay, Hang, Phase, Raise
from faultware.core.matching import Match
from faultware.core.plan import Injection, Plan, mark
from faultware.core.request import Request
from faultware.core.rules import Rule
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.core.sampling import Dice, SampleBy
from tests.strategies import requests, rule_lists

# Shares are compared within three and a half standard deviations: a sound engine fails one such comparison in 2,000.
# The draws are seeded, so that it is the same one each time, and it is none of these.
TRIES = 10_000


def _within(observed, share, tries=TRIES):
    return abs(observed - tries * share) <= 3.5 * math.sqrt(tries * share * (1 - share))


def _engine(*, random_source=None, seed=None, **limits):
    return Engine(Dice(random_source or random.Random(7).random, seed), Limits(**limits))


def _live(*rules):
    return RuleSet(map(LiveRule, rules)).live


def _kinds(plan):
    return [injection.kind for injection in plan.injections] if plan else []


def _names(plan):
    return [injection.live.rule.name for injection in plan.injections] if plan else []


def _abort(name="a", percentage=100.0, **arguments):
    return Rule(name, percentage=percentage, abort=Abort(503), **arguments)


def _delay(name="d", percentage=100.0, seconds=1.0, **arguments):
    return Rule(name, percentage=percentage, delay=Delay(seconds), **arguments)


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("rule", [_abort(percentage=0), _delay(percentage=0), _abort(percentage=0, count=1)])
def test_0_percent_never_acts(rule, seed):
    engine, (live,) = _engine(seed=seed), _live(rule)
    assert all(engine.decide([live], Request(path=f"/{n}"), 0) is None for n in range(2000))
    assert live.tally.matched == live.tally.rolled == 2000


def test_0_percent_does_not_act_on_the_least_draw_either():
    engine = _engine(random_source=lambda: 0.0)
    assert engine.decide(_live(_abort(percentage=0)), Request(), 0) is None
    assert engine.decide(_live(_abort(percentage=0, count=1)), Request(), 0) is None
    assert engine.decide(_live(Rule(percentage=100, abort=Abort(503, percentage=0))), Request(), 0) is None


@pytest.mark.parametrize("draw", [0.0, 0.5, 1 - 2.0**-53])
@pytest.mark.parametrize("rule", [_abort(), _delay(), Rule("a", percentage=100, delay=Delay(1), abort=Abort(503))])
def test_100_percent_always_acts(rule, draw):
    engine, live = _engine(random_source=lambda: draw), _live(rule)
    assert _names(engine.decide(live, Request(), 0)) == ["a" if rule.abort else "d"] * len(rule.faults)


@pytest.mark.parametrize("percentage", [0.5, 10, 33.3, 90])
@pytest.mark.parametrize("seed", [None, 7])
def test_the_observed_share_is_the_configured_share(percentage, seed):
    engine, live = _engine(seed=seed), _live(_abort(percentage=percentage))
    hits = sum(engine.decide(live, Request(path=f"/{n}"), 0) is not None for n in range(TRIES))
    assert _within(hits, percentage / 100)


@pytest.mark.parametrize("seed", [None, 7])
def test_every_rule_rolls_its_own_dice(seed):
    engine, live = _engine(seed=seed), _live(_delay("a", 30), _delay("b", 20), _abort("c", 10))
    seen = Counter(tuple(_names(engine.decide(live, Request(path=f"/{n}"), 0))) for n in range(TRIES))
    chances = {"a": 0.3, "b": 0.2, "c": 0.1}
    for name, chance in chances.items():
        assert _within(sum(number for names, number in seen.items() if name in names), chance)
    for names, number in seen.items():
        assert _within(number, math.prod(p if name in names else 1 - p for name, p in chances.items()))


def test_a_rule_behind_one_that_ends_the_request_keeps_its_share_of_what_reaches_it():
    engine, live = _engine(), _live(_abort("a", 50), _abort("b", 50))
    seen = Counter(tuple(_names(engine.decide(live, Request(), 0))) for _ in range(TRIES))
    assert _within(seen["a",], 0.5)
    assert _within(seen["b",], 0.25)
    assert live[1].tally.matched == live[1].tally.rolled == TRIES - seen["a",]


def test_a_fault_rolls_its_own_percentage_after_the_rule():
    rule = Rule("a", percentage=50, delay=Delay(1, percentage=60), abort=Abort(503, percentage=20))
    engine, live = _engine(), _live(rule)
    seen = Counter(tuple(_kinds(engine.decide(live, Request(), 0))) for _ in range(TRIES))
    assert _within(seen["delay",], 0.5 * 0.6 * 0.8)
    assert _within(seen["abort",], 0.5 * 0.4 * 0.2)
    assert _within(seen["delay", "abort"], 0.5 * 0.6 * 0.2)
    assert _within(seen[()], 0.5 + 0.5 * 0.4 * 0.8)


def test_the_first_fault_that_ends_the_request_ends_the_search():
    engine, live = _engine(), _live(_delay("a"), _abort("b"), _delay("c"), Rule("d", percentage=100, hang=Hang()))
    plan = engine.decide(live, Request(), 0)
    assert _names(plan) == ["a", "b"]
    assert plan.ending.fault == Abort(503)
    assert plan.ending.live.rule.name == "b"
    assert [entry.tally.matched for entry in live] == [1, 1, 0, 0]


def test_a_terminal_fault_that_did_not_fire_does_not_end_the_search():
    engine = _engine(random_source=lambda: 0.5)
    live = _live(Rule("a", percentage=100, abort=Abort(503, percentage=10)), _abort("b"))
    assert _names(engine.decide(live, Request(), 0)) == ["b"]


@pytest.mark.parametrize("terminal", [{"abort": Abort(503)}, {"raise_": Raise("X")}, {"hang": Hang(1)}])
def test_every_terminal_fault_stands_last_in_the_plan(terminal):
    plan = _engine().decide(_live(_delay("a"), Rule("b", percentage=100, delay=Delay(2), **terminal)), Request(), 0)
    assert plan.ending.fault in terminal.values()
    assert plan.ending is plan.injections[-1]
    assert _kinds(plan)[:-1] == ["delay", "delay"]


def test_delays_add_up_to_the_limit():
    live = _live(_delay("a", seconds=2), _delay("b", seconds=3), _delay("c", seconds=4))
    plan = _engine(max_delay_seconds=30).decide(live, Request(), 0)
    assert plan.delay_seconds == 9
    assert [injection.delay_seconds for injection in plan.injections] == [2, 3, 4]
    assert plan.ending is None
    capped = _engine(max_delay_seconds=4).decide(live, Request(), 0)
    assert capped.delay_seconds == 4
    assert [injection.delay_seconds for injection in capped.injections] == [2, 2, 0]


def test_a_fixed_delay_that_stands_alone_is_planned_once_and_still_bounded():
    (alone,) = _live(_delay())
    plans = [_engine(max_delay_seconds=30).decide((alone,), Request(), 0) for _ in range(2)]
    assert plans[0] is plans[1]
    assert plans[0] == Plan((Injection(alone, alone.rule.delay, 1.0),), delay_seconds=1.0)
    capped = _engine(max_delay_seconds=0.5).decide((alone,), Request(), 0)
    assert (capped.delay_seconds, capped.before[0].delay_seconds) == (0.5, 0.5)
    first, second = _live(_delay("one"), _delay("two"))
    assert _engine().decide((first, second), Request(), 0).delay_seconds == 2
    assert _names(_engine().decide(_live(_delay("one"), _abort("two", percentage=0)), Request(), 0)) == ["one"]


def test_a_delay_is_drawn_anew_for_each_request():
    engine, live = _engine(max_delay_seconds=1000), _live(Rule("a", percentage=100, delay=Delay(Exponential(1, 100))))
    drawn = [engine.decide(live, Request(), 0).delay_seconds for _ in range(2000)]
    assert len(set(drawn)) == 2000
    assert sum(drawn) / 2000 == pytest.approx(1, abs=5 / math.sqrt(2000))


def test_of_a_group_only_the_first_that_matches_takes_part_fired_or_not():
    engine = _engine()
    live = _live(
        _delay("a", 0, group="g"),
        _abort("b", 100, group="g"),
        _delay("c", 100, group="h"),
        _delay("d", 100),
    )
    assert _names(engine.decide(live, Request(), 0)) == ["c", "d"]
    assert [entry.tally.matched for entry in live] == [1, 0, 1, 1]


def test_a_rule_that_does_not_match_leaves_its_group_to_the_next():
    live = _live(_abort("a", group="g", match=Match(methods=["POST"])), _abort("b", group="g"))
    assert _names(_engine().decide(live, Request(), 0)) == ["b"]


def test_a_rule_that_is_expired_leaves_its_group_to_the_next():
    live = RuleSet([LiveRule(_abort("a", group="g"), 10.0), LiveRule(_abort("b", group="g"))]).live
    assert _names(_engine().decide(live, Request(), 9.9)) == ["a"]
    assert _names(_engine().decide(live, Request(), 10.0)) == ["b"]


def test_a_rule_expires_by_the_clock_at_the_moment_of_the_decision():
    engine, (live,) = _engine(), RuleSet([LiveRule(_abort(), deadline=10.0)]).live
    assert engine.decide([live], Request(), 9.999999) is not None
    for now in (10.0, 10.1, 1e9):
        assert engine.decide([live], Request(), now) is None
    assert live.tally.suppressed == {"expired": 3}
    assert live.tally.matched == 4
    assert live.tally.rolled == 1


def test_a_count_is_given_out_once_and_only_on_a_hit():
    draws = iter([0.9, 0.1, 0.9, 0.1, 0.1, 0.1])
    engine, (live,) = _engine(random_source=lambda: next(draws)), _live(_abort(percentage=50, count=2))
    fired = [engine.decide([live], Request(), 0) is not None for _ in range(6)]
    assert fired == [False, True, False, True, False, False]
    assert live.tally.suppressed == {"count": 2}


def test_a_share_with_a_count_is_a_share_until_the_count_is_used_up():
    engine, live = _engine(), _live(_abort(percentage=10, count=3))
    fired = [n for n in range(TRIES) if engine.decide(live, Request(), 0)]
    assert len(fired) == 3
    assert fired[2] < 500


def test_a_count_of_a_rule_that_is_loaded_again_is_not_given_twice():
    rule = _abort(count=1)
    (first,) = _live(rule)
    again = LiveRule(rule, tally=first.tally)
    assert _engine().decide([first], Request(), 0) is not None
    assert _engine().decide([again], Request(), 0) is None


def test_every_third_matching_request_takes_part():
    engine, (live,) = _engine(), _live(_abort(every=3))
    assert [engine.decide([live], Request(), 0) is not None for _ in range(9)] == [False, False, True] * 3
    assert (live.tally.matched, live.tally.rolled) == (9, 3)


def test_every_and_a_share_combine():
    engine, live = _engine(), _live(_abort(every=2, percentage=50))
    fired = [engine.decide(live, Request(), 0) is not None for _ in range(TRIES)]
    assert not any(fired[::2])
    assert _within(sum(fired), 0.5, TRIES // 2)


@pytest.mark.parametrize("seed", [None, 7])
def test_a_sticky_decision_holds_for_all_requests_of_a_key_in_every_process(seed):
    rule = _abort(percentage=10, sample_by=SampleBy.parse("header:x-user-id"))
    users = [str(number) for number in range(5000)]

    def hit(engine, user, path):
        return engine.decide(_live(rule), Request(path=path, headers=[("X-User-Id", user)]), 0) is not None

    one, other = _engine(seed=seed), _engine(seed=seed, random_source=random.Random(8).random)
    chosen = [user for user in users if hit(one, user, "/a")]
    assert chosen == [user for user in users if hit(other, user, "/b")]
    assert _within(len(chosen), 0.1, 5000)


def test_a_sticky_delay_is_as_long_each_time():
    rule = Rule("a", percentage=100, delay=Delay(Exponential(1, 30)), sample_by=SampleBy("client"))
    engine, live = _engine(), _live(rule)
    lengths = {
        client: {engine.decide(live, Request(client=client), 0).delay_seconds for _ in range(5)} for client in "abc"
    }
    assert all(len(drawn) == 1 for drawn in lengths.values())
    assert len(set.union(*lengths.values())) == 3


def test_a_request_without_the_key_is_left_alone():
    engine, (live,) = _engine(), _live(_abort(sample_by=SampleBy.parse("cookie:session")))
    assert engine.decide([live], Request(), 0) is None
    assert (live.tally.matched, live.tally.rolled) == (1, 0)


PREFLIGHT = [("Access-Control-Request-Method", "POST")]


@pytest.mark.parametrize(
    ("methods", "headers", "is_faulted"),
    [
        ((), PREFLIGHT, False),
        (("OPTIONS",), PREFLIGHT, True),
        (("OPTIONS", "GET"), PREFLIGHT, True),
        ((), (), True),
    ],
)
def test_a_preflight_is_touched_only_by_a_rule_that_names_options(methods, headers, is_faulted):
    engine, (live,) = _engine(), _live(_abort(match=Match(methods=methods)))
    assert (engine.decide([live], Request("OPTIONS", headers=headers), 0) is not None) is is_faulted
    assert live.tally.suppressed["excluded"] == (not is_faulted)


@pytest.mark.parametrize(
    ("rules", "most", "share"),
    [
        ([_abort("a", 100)], 10, 0.1),
        ([_abort("a", 50), _abort("b", 50)], 50, 0.5),
        ([_abort("a", 50), _abort("b", 50)], 20, 0.2),
        ([_delay("a", 50), _delay("b", 50)], 50, 0.5),
        ([_delay("a", 100), _abort("b", 100)], 25, 0.25),
        ([_abort("a", 5)], 50, 0.05),
        ([_abort("a", 100)], 0, 0),
        ([Rule("a", percentage=100, abort=Abort(503, percentage=10))], 50, 0.1),
        ([Rule("a", percentage=100, delay=Delay(1, percentage=50), abort=Abort(503, percentage=50))], 50, 0.5),
        ([_abort("a", 40, group="g"), _abort("b", 100, group="g")], 40, 0.4),
        ([_abort("a", 100, match=Match(methods=["POST"])), _abort("b", 30)], 30, 0.3),
    ],
)
@pytest.mark.parametrize("seed", [None, 7])
def test_no_more_than_the_greatest_share_is_faulted_by_all_rules_together(rules, most, share, seed):
    engine, live = _engine(seed=seed, max_percentage=most), _live(*rules)
    hits = sum(engine.decide(live, Request(path=f"/{n}"), 0) is not None for n in range(TRIES))
    assert _within(hits, share)


def test_thinning_keeps_the_proportions_of_the_rules_and_is_counted():
    engine, live = _engine(max_percentage=20), _live(_abort("a", 50), _abort("b", 50))
    seen = Counter(tuple(_names(engine.decide(live, Request(), 0))) for _ in range(TRIES))
    assert _within(seen["a",], 0.2 * 2 / 3)
    assert _within(seen["b",], 0.2 * 1 / 3)
    assert _within(sum(entry.tally.suppressed["max_share"] for entry in live), 0.75 - 0.2)


def test_an_expired_rule_takes_no_part_of_the_greatest_share():
    live = RuleSet([LiveRule(_abort("a", 100), 1.0), LiveRule(_abort("b", 50))]).live
    engine = _engine(max_percentage=50)
    hits = sum(engine.decide(live, Request(), 2.0) is not None for _ in range(TRIES))
    assert _within(hits, 0.5)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_decides_a_request_alike_whatever_came_before(seed):
    rules = [_delay("a", 50), _abort("b", 50, every=None)]
    requests_ = [Request(path=f"/{number}") for number in range(200)]
    one = [_names(_engine(seed=seed).decide(_live(*rules), request, 0)) for request in requests_]
    engine, live = _engine(seed=seed, random_source=random.Random(99).random), _live(*rules)
    other = [_names(engine.decide(live, request, 0)) for request in reversed(requests_)]
    assert one == other[::-1]
    assert len({tuple(names) for names in one}) == 4


def _eager(rule):
    """The same faults, for every request."""
    if rule.recurring:
        return rule
    free = {"match": Match(), "count": None, "first": None, "every": None, "sample_by": None, "schedule": None}
    return replace(rule, percentage=100, part=None, **free)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(0, 3), st.sampled_from((100.0, 50.0)))
def test_a_plan_keeps_its_promises_whatever_the_rules(data, seed, most):
    rules = data.draw(rule_lists(max_size=6))
    if data.draw(st.integers(0, 3)):
        # Most lists would do nothing at all, and hardly any would do two things that have to agree.
        rules = [_eager(rule) for rule in rules]
    request = data.draw(requests(rules))
    rule_set = RuleSet(map(LiveRule, rules))
    engine = _engine(seed=seed or None, max_delay_seconds=5, max_percentage=most)
    plan = engine.decide(rule_set.candidates(request), request, 0)
    if plan is None:
        return
    fired = [injection.live.rule for injection in plan.injections]
    assert plan.injections
    assert all(rule.match.accepts(request) for rule in fired)
    assert all(rule.percentage > 0 for rule in fired)
    for part in (plan.before, plan.after):
        order = [rules.index(injection.live.rule) for injection in part]
        assert order == sorted(order)
    groups = [rule.group for rule in dict.fromkeys(fired) if rule.group]
    assert len(groups) == len(set(groups))
    assert 0 <= plan.delay_seconds <= 5
    assert plan.delay_seconds == pytest.approx(sum(injection.delay_seconds for injection in plan.before))
    assert all(injection.fault.phase in (Phase.DELAY, Phase.INSTANCE) for injection in plan.before)
    assert plan.ending is None or (plan.ending.fault.phase is Phase.TERMINAL and not plan.after)
    assert all(injection.fault.phase in (Phase.REQUEST, Phase.RESPONSE) for injection in plan.after)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_match_roll_and_refusal_is_entered_in_the_tally(data):
    rules = data.draw(rule_lists(max_size=4))
    rule_set, engine = RuleSet(map(LiveRule, rules)), _engine()
    fired = Counter()
    for _ in range(5):
        request = data.draw(requests(rules))
        plan = engine.decide(rule_set.candidates(request), request, 0)
        fired.update(set(_names(plan)))
    for entry in rule_set.live:
        tally = entry.tally
        assert fired[entry.rule.name] <= tally.rolled <= tally.matched
        assert sum(tally.suppressed.values()) <= tally.matched


def test_marks_name_rule_and_fault_in_the_order_in_which_they_act():
    live = _live(Rule("a", percentage=100, delay=Delay(1), abort=Abort(503)))
    plan = _engine().decide(live, Request(), 0)
    assert mark(plan.injections) == "a;delay, a;abort"
    assert mark(plan.injections[:1]) == "a;delay"


def test_a_plan_is_a_value():
    (live,) = _live(_abort())
    assert Plan(ending=Injection(live, Abort(503))) == live.whole
    assert Plan((Injection(live, Delay(1), 1.0),), delay_seconds=1.0).ending is None
