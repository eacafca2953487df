"""Budgets hold, whatever the order in which requests come and go."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faultware.runtime.caps import MAX_CLIENTS, Budgets, Caps


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def caps(**budgets) -> tuple[Caps, Clock]:
    clock = Clock()
    return Caps(Budgets(**budgets), clock), clock


def test_a_place_is_claimed_and_given_back():
    one, _ = caps(active=2)
    assert [one.enter() for _ in range(3)] == ["", "", "max_active"]
    one.leave()
    assert one.enter() == ""


def test_faults_in_all_are_counted_from_arming():
    one, _ = caps(total=2)
    assert [one.enter() for _ in range(3)] == ["", "", "max_faults"]
    one.rearm()
    assert one.enter() == ""


def test_arming_renews_no_budget_of_a_minute():
    one, _ = caps(total=2, per_minute=2, per_client=1)
    assert [one.enter(who) for who in ("a", "a", "b")] == ["", "max_per_client", ""]
    one.rearm()
    assert one.enter("a") == "max_per_minute"
    other, _ = caps(per_client=1)
    other.enter("a")
    other.rearm()
    assert other.enter("a") == "max_per_client"


def test_faults_in_a_minute_come_back_with_time():
    one, clock = caps(per_minute=2)
    assert [one.enter() for _ in range(3)] == ["", "", "max_per_minute"]
    clock.now = 59.9
    assert one.enter() == "max_per_minute"
    clock.now = 60.0
    assert [one.enter() for _ in range(3)] == ["", "", "max_per_minute"]


def test_each_client_has_a_budget_of_its_own_and_nobody_none():
    one, _ = caps(per_client=1)
    assert [one.enter(who) for who in ("a", "b", "a", "", "")] == ["", "", "max_per_client", "", ""]


def test_a_share_of_the_traffic_is_never_exceeded():
    one, _ = caps(traffic_percentage=10)
    answers = [one.enter(requests=number) for number in range(1, 101)]
    assert answers.count("") == 10
    assert set(answers) == {"", "max_traffic"}


def test_clients_beyond_a_bound_push_out_the_first():
    one, _ = caps(active=10**6, per_client=1)
    for number in range(MAX_CLIENTS + 1):
        assert one.enter(str(number)) == ""
    assert one.enter("0") == ""
    assert one.enter(str(MAX_CLIENTS)) == "max_per_client"


def test_what_is_refused_uses_nothing_up():
    one, clock = caps(per_minute=1, total=5)
    one.enter()
    for _ in range(20):
        assert one.enter() == "max_per_minute"
    clock.now = 60
    assert one.enter() == ""


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 5),
    st.none() | st.integers(0, 8),
    st.none() | st.integers(0, 5),
    st.none() | st.integers(0, 3),
    st.sampled_from((0.0, 5.0, 50.0, 100.0)),
    st.lists(st.sampled_from(("enter a", "enter b", "enter", "leave", "wait 1", "wait 30")), max_size=60),
)
def test_under_any_interleaving_of_requests_the_caps_hold(active, total, per_minute, per_client, share, steps):
    budgets = {"total": total, "per_minute": per_minute, "per_client": per_client, "traffic_percentage": share}
    one, clock = caps(active=active, **budgets)
    inside = requests = 0
    entered: list[tuple[float, str]] = []
    for step in steps:
        word, _, detail = step.partition(" ")
        if word == "wait":
            clock.now += float(detail)
        elif word == "leave" and inside:
            one.leave()
            inside -= 1
        elif word == "enter":
            requests += 1
            if not one.enter(detail, requests):
                inside += 1
                entered.append((clock.now, detail))
        assert one.active == inside <= active
        assert total is None or len(entered) <= total
        assert len(entered) <= requests * share / 100
        recent = [who for at, who in entered if at > clock.now - 60]
        assert per_minute is None or len(recent) <= per_minute
        assert per_client is None or all(number <= per_client for who, number in Counter(recent).items() if who)


@pytest.mark.parametrize("budgets", [{}, {"per_client": 3}])
def test_a_forked_child_begins_anew(budgets):
    one, _ = caps(active=1, total=1, **budgets)
    one.enter("a")
    one.after_fork()
    assert one.active == 0
    assert one.enter("a") == ""
