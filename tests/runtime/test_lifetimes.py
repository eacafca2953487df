"""How long rules live, whatever the clocks do; what is shown can be sent back."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faultware import Abort, Rule
from faultware.config.documents import read_rules
from faultware.core.schedules import Schedule
from faultware.errors import RuleError
from faultware.state.store import MAX_LIFETIME_SECONDS, StoredRule
from tests.runtime.kit import Time, lives, loaded, make_switch, memory, rule, shown
from tests.strategies import rule_lists

HOUR = 3600.0


def test_a_rule_that_arrives_at_run_time_lives_ten_minutes_unless_it_says_otherwise(time):
    switch = make_switch(time=time)
    switch.replace_rules([rule("a"), rule("b", lifetime_seconds=5), rule("c", lifetime_seconds=HOUR)])
    assert lives(switch, time) == {"a": 600, "b": 5, "c": 3600}
    time.pass_(4.999)
    assert set(loaded(switch)) == {"a", "b", "c"}
    time.pass_(0.001)
    assert set(loaded(switch)) == {"a", "c"}
    assert set(shown(switch)) == {"a", "c"}
    time.pass_(595)
    assert set(loaded(switch)) == {"c"}
    time.pass_(3000)
    assert loaded(switch) == {}
    assert shown(switch) == {}


def test_nothing_that_arrives_at_run_time_lives_longer_than_an_hour():
    with pytest.raises(RuleError) as caught:
        make_switch().put_rule(rule("a", lifetime_seconds=HOUR + 1))
    assert str(caught.value) == "a.for: 1h1s is longer than what arrives at run time may live (at most 1h)"


def test_a_rule_that_is_put_again_begins_a_new_life(time):
    switch = make_switch(time=time)
    switch.put_rule(rule("a"))
    time.pass_(500)
    switch.put_rule(rule("a"))
    assert lives(switch, time) == {"a": 600}


def test_the_lifetime_of_a_start_up_rule_counts_from_the_stores_creation_and_not_from_each_worker(time):
    store = memory()
    time.pass_(50)
    assert lives(make_switch("/pay 10% abort 503 for 60s as a", time=time, store=store), time) == {"a": 10}
    time.pass_(10)
    assert loaded(make_switch("/pay 10% abort 503 for 60s as a", time=time, store=store)) == {}


def test_a_start_up_rule_without_a_lifetime_does_not_expire(time):
    switch = make_switch("/pay 10% abort 503 as a", time=time)
    time.pass_(10**9)
    assert lives(switch, time) == {"a": math.inf}
    assert shown(switch) == {"a": None}


def test_what_is_shown_can_be_sent_back_and_says_what_is_left(time):
    switch = make_switch("/pay 10% abort 503 for 2h as old", time=time)
    switch.put_rule(rule("a"))
    time.pass_(0.5)
    assert shown(switch) == {"old": "1h", "a": "10m"}
    time.pass_(539.5)
    assert shown(switch)["a"] == "1m"
    time.pass_(59.5)
    assert shown(switch)["a"] == "1s"
    switch.replace_rules(read_rules(switch.documents(switch.store.read())))
    assert lives(switch, time) == {"old": HOUR, "a": 1}


@settings(deadline=None, max_examples=40)
@given(rules=rule_lists(max_size=4))
def test_rules_that_are_sent_back_are_the_same(rules):
    possible = [replace(one, lifetime_seconds=None) for one in rules]
    time = Time()
    switch = make_switch(time=time, exceptions=dict.fromkeys(("TimeoutError", "myapp.Broken"), ValueError))
    switch.replace_rules(possible)
    before = [entry.rule for entry in loaded(switch).values()]
    assert before == possible
    switch.replace_rules(read_rules(switch.documents(switch.store.read())))
    assert [entry.rule for entry in loaded(switch).values()] == before


@pytest.mark.parametrize("jump", [-10 * HOUR, -HOUR, -60, 60, HOUR, 10 * HOUR])
def test_no_jump_of_the_wall_clock_prolongs_a_rule_that_is_in_force(time, jump):
    switch = make_switch("/x 10% abort 503 for 20m as start", time=time)
    switch.put_rule(rule("a"))
    assert lives(switch, time) == {"start": 1200, "a": 600}
    time.pass_(300)
    time.jump(jump)
    assert all(left <= {"start": 900, "a": 300}[name] for name, left in lives(switch, time).items())
    time.pass_(300)
    assert "a" not in loaded(switch)
    time.pass_(600)
    assert loaded(switch) == {}
    time.jump(-jump)
    assert loaded(switch) == {}


@pytest.mark.parametrize("jump", [-10 * HOUR, -60])
def test_no_jump_of_the_wall_clock_prolongs_what_was_armed_for_a_time(time, jump):
    switch = make_switch("/pay 10% abort 503 as a", time=time)
    switch.arm("me", 60)
    assert lives(switch, time) == {"a": 60}
    time.jump(jump)
    time.pass_(60)
    assert loaded(switch) == {}


def test_a_worker_that_starts_behind_a_jump_gives_a_rule_an_hour_at_most(time):
    store = memory()
    make_switch(time=time, store=store).put_rule(rule("a"))
    time.jump(-10 * HOUR)
    late = make_switch("/x 10% abort 503 as b", time=time, store=store)
    assert lives(late, time) == {"a": MAX_LIFETIME_SECONDS}
    time.pass_(HOUR)
    assert loaded(late) == {}


def test_a_worker_that_starts_behind_a_jump_is_armed_for_an_hour_at_most(time):
    store = memory()
    make_switch(time=time, store=store).arm("me", 60)
    time.jump(-10 * HOUR)
    assert lives(make_switch("/x 10% abort 503 as b", time=time, store=store), time) == {"b": HOUR}


def test_a_stored_rule_without_an_end_has_none_while_the_service_still_starts_with_it(time):
    stored = (StoredRule({"name": "a", "percentage": 1, "abort": {"status": 503}}, None),)
    same = make_switch("/x 10% abort 503 as a", time=time, store=memory(rules=stored))
    assert lives(same, time) == {"a": math.inf}
    assert lives(make_switch(time=time, store=memory(rules=stored)), time) == {}


def test_a_schedule_counts_from_when_its_rule_was_loaded_in_every_process(time):
    store = memory()
    ramp = Schedule(start_after_seconds=10, from_percentage=0, ramp_seconds=100)
    switch = make_switch(time=time, store=store)
    switch.replace_rules([rule("a", percentage=50, schedule=ramp)])
    time.pass_(60)
    for one in (switch, make_switch(time=time, store=store)):
        assert loaded(one)["a"].percentage_at(time.now) == pytest.approx(25)
    time.pass_(60)
    assert loaded(switch)["a"].percentage_at(time.now) == 50


def test_a_schedule_of_a_rule_of_the_start_counts_from_the_start_of_the_service(time):
    late = Rule("a", percentage=50, abort=Abort(503), schedule=Schedule(start_after_seconds=60))
    switch = make_switch([late], time=time)
    time.pass_(59)
    assert loaded(switch)["a"].percentage_at(time.now) == 0
    time.pass_(1)
    assert loaded(switch)["a"].percentage_at(time.now) == 50


def test_rules_that_stay_the_same_are_not_read_again_and_others_are(monkeypatch):
    from faultware.config import documents

    switch, reads = make_switch(), []
    read = documents.read_rules
    monkeypatch.setattr(documents, "read_rules", lambda data: reads.append(1) or read(data))
    switch.replace_rules([rule("a"), rule("b")])
    first = [entry.rule for entry in loaded(switch).values()]
    switch.kill("me")
    switch.arm("me")
    assert [entry.rule for entry in loaded(switch).values()] == first
    assert len(reads) == 1
    switch.delete_rule("a")
    assert list(loaded(switch)) == ["b"]
    assert len(reads) == 2


# Tallies.


def test_a_rule_that_stays_the_same_keeps_its_tally_and_another_does_not():
    switch = make_switch("/pay 10% 3x abort 503 as a; /pay 20% abort 503 as b")
    first = loaded(switch)
    switch.put_rule(rule("b"))
    second = loaded(switch, first)
    assert second["a"].tally is first["a"].tally
    assert second["b"].tally is not first["b"].tally
    switch.put_rule(rule("b", lifetime_seconds=30))
    third = loaded(switch, second)
    assert third["b"].tally is second["b"].tally


def test_a_rule_set_is_made_without_knowing_what_was_before():
    assert loaded(make_switch("/pay 10% abort 503 as a"), None)["a"].tally.matched == 0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("pass"), st.floats(0, 2 * HOUR)),
            st.tuples(st.just("jump"), st.floats(-24 * HOUR, 24 * HOUR)),
            st.tuples(st.just("load"), st.just(0)),
        ),
        max_size=12,
    )
)
def test_whatever_the_clocks_do_a_run_time_rule_is_gone_after_an_hour(steps):
    """An hour by the clock that cannot jump, counted from when this worker saw it first."""
    time = Time()
    switch = make_switch(time=time)
    switch.put_rule(rule("a", lifetime_seconds=HOUR))
    begun = time.now
    assert "a" in loaded(switch)
    for step, seconds in steps:
        if step == "pass":
            time.pass_(seconds)
        elif step == "jump":
            time.jump(seconds)
        if time.now - begun >= HOUR:
            assert "a" not in loaded(switch)
        else:
            loaded(switch)
