"""The switch and the run-time rules: what latches, what expires, who wins."""

from __future__ import annotations

import math

import pytest

from faultware import Raise, Rule
from faultware.errors import ConflictError, RuleError
from faultware.state.store import DEFAULT_LIFETIME_SECONDS
from tests.runtime.kit import BEGIN, lives, loaded, make_switch, rule

HOUR = 3600.0


# Killing and arming.


def test_a_kill_says_who_and_why_and_when(time):
    switch = make_switch(time=time)
    time.pass_(5)
    snapshot = switch.kill("me", "enough")
    assert (snapshot.killed, snapshot.actor, snapshot.reason, snapshot.changed_at) == (True, "me", "enough", BEGIN + 5)
    assert switch.killed


def test_a_kill_may_be_repeated(time):
    switch = make_switch(time=time)
    first, second = switch.kill("me"), switch.kill("you", "again")
    assert switch.killed
    assert (first.version, second.version, second.actor) == (2, 3, "you")


def test_only_arming_undoes_a_kill():
    switch = make_switch("/pay 10% abort 503 as a")
    switch.kill("me", "enough")
    switch.put_rule(rule("b"))
    switch.replace_rules([rule("c")])
    switch.delete_rule("c")
    assert switch.killed
    snapshot = switch.arm("you")
    assert not switch.killed
    assert (snapshot.actor, snapshot.reason, snapshot.armed_until) == ("you", "", None)


def test_a_kill_forgets_for_how_long_the_switch_was_armed(time):
    switch = make_switch("/pay 10% abort 503 as a", time=time)
    assert switch.arm("me", 60).armed_until == BEGIN + 60
    assert switch.kill("me").armed_until is None


def test_arming_for_a_time_ends_every_rule_with_it(time):
    switch = make_switch("/pay 10% abort 503 as a; /x 10% abort 503 for 30s as b", time=time)
    switch.arm("me", 60)
    assert lives(switch, time) == {"a": 60, "b": 30}
    time.pass_(59.9)
    assert list(loaded(switch)) == ["a"]
    time.pass_(0.1)
    assert loaded(switch) == {}
    switch.put_rule(rule("c"))
    assert loaded(switch) == {}
    switch.arm("me")
    assert set(loaded(switch)) == {"a", "c"}


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (3600.001, "for: 1h1ms is longer than what arrives at run time may live (at most 1h)"),
        (0.0, "for: 0s is no time at all (such as 5m)"),
    ],
)
def test_arming_for_too_long_or_no_time_at_all_is_refused(seconds, message):
    switch = make_switch()
    with pytest.raises(RuleError) as caught:
        switch.arm("me", seconds)
    assert str(caught.value) == message
    assert switch.store.read().version == 1


def test_arming_for_an_hour_is_possible(time):
    assert make_switch(time=time).arm("me", HOUR).armed_until == BEGIN + HOUR


def test_when_the_time_is_over_the_switch_says_killed(time):
    switch = make_switch(time=time)
    switch.arm("me", 60)
    time.pass_(59)
    assert switch.end_arming() is None
    assert not switch.killed
    time.pass_(1)
    snapshot = switch.end_arming()
    assert switch.killed
    assert (snapshot.actor, snapshot.reason) == ("clock", "the time for which it was armed is over")
    version = snapshot.version
    assert switch.end_arming() is None
    assert switch.store.read().version == version


def test_the_end_of_one_arming_is_not_the_end_of_the_next(time):
    switch = make_switch(time=time)
    switch.arm("me", 60)
    time.pass_(60)
    switch.arm("you")
    assert switch.end_arming() is None
    assert not switch.killed


# The kill file.


def test_while_the_kill_file_exists_nobody_can_arm(tmp_path):
    kill_file = tmp_path / "kill"
    switch = make_switch(kill_file=kill_file)
    assert not switch.kill_file_exists()
    kill_file.touch()
    assert switch.kill_file_exists()
    switch.kill("me")
    with pytest.raises(ConflictError) as caught:
        switch.arm("me")
    assert str(caught.value) == f"the kill file {kill_file} exists: remove it first"
    assert switch.killed
    kill_file.unlink()
    switch.arm("me")
    assert not switch.killed


def test_a_dangling_link_is_a_kill_file(tmp_path):
    (tmp_path / "kill").symlink_to(tmp_path / "nowhere")
    assert make_switch(kill_file=tmp_path / "kill").kill_file_exists()


def test_a_directory_is_a_kill_file(tmp_path):
    assert make_switch(kill_file=tmp_path).kill_file_exists()


def test_a_place_that_cannot_be_looked_at_counts_as_a_kill_file(tmp_path):
    (tmp_path / "file").touch()
    assert make_switch(kill_file=tmp_path / "file" / "kill").kill_file_exists()
    assert make_switch(kill_file=tmp_path / ("x" * 300)).kill_file_exists()


def test_a_directory_that_is_missing_is_no_kill_file(tmp_path):
    assert not make_switch(kill_file=tmp_path / "missing" / "kill").kill_file_exists()


def test_without_a_kill_file_there_is_none():
    assert not make_switch().kill_file_exists()


# Changing rules.


def test_rules_that_are_replaced_are_gone(time):
    switch = make_switch("/pay 10% abort 503 as a", time=time)
    switch.replace_rules([rule("b"), rule("c")])
    assert list(loaded(switch)) == ["b", "c"]
    switch.replace_rules([])
    assert loaded(switch) == {}


def test_a_rule_is_put_behind_the_others_or_in_its_own_place():
    switch = make_switch("/pay 10% abort 503 as a; /pay 20% abort 503 as b")
    switch.put_rule(rule("c"))
    assert list(loaded(switch)) == ["a", "b", "c"]
    switch.put_rule(rule("a", "/other"))
    assert list(loaded(switch)) == ["a", "b", "c"]
    assert loaded(switch)["a"].rule == rule("a", "/other")


def test_the_rules_of_the_start_live_on_beside_one_that_is_put(time):
    switch = make_switch("/pay 10% abort 503 as a; /pay 10% abort 503 for 2h as b", time=time)
    switch.put_rule(rule("c"))
    assert lives(switch, time) == {"a": math.inf, "b": 2 * HOUR, "c": DEFAULT_LIFETIME_SECONDS}


def test_a_rule_is_taken_away():
    switch = make_switch("/pay 10% abort 503 as a; /pay 20% abort 503 as b")
    switch.delete_rule("a")
    assert list(loaded(switch)) == ["b"]
    with pytest.raises(KeyError):
        switch.delete_rule("a")
    assert switch.store.read().version == 2


def test_an_expired_rule_cannot_be_taken_away(time):
    switch = make_switch(time=time)
    switch.put_rule(rule("a"))
    time.pass_(DEFAULT_LIFETIME_SECONDS)
    with pytest.raises(KeyError):
        switch.delete_rule("a")


def test_a_writer_who_has_seen_an_older_version_is_refused_and_changes_nothing():
    switch = make_switch("/pay 10% abort 503 as a")
    switch.put_rule(rule("b"), if_version=1)
    for write in (
        lambda: switch.put_rule(rule("c"), if_version=1),
        lambda: switch.replace_rules([rule("c")], if_version=1),
        lambda: switch.delete_rule("a", if_version=3),
    ):
        with pytest.raises(ConflictError, match=r"the rules have version 2, not \d: read them again"):
            write()
    assert list(loaded(switch)) == ["a", "b"]
    switch.delete_rule("a", if_version=2)
    assert list(loaded(switch)) == ["b"]


def test_a_name_that_is_used_twice_is_refused():
    with pytest.raises(RuleError, match=r"^a: the name is used twice"):
        make_switch().replace_rules([rule("a"), rule("a", "/other")])


def test_an_exception_that_nobody_registered_is_refused_at_the_start_and_later():
    raising = Rule("a", percentage=1, raise_=Raise("TimeoutError"))
    with pytest.raises(RuleError, match=r"^a\.raise: no exception is registered as 'TimeoutError'"):
        make_switch([raising])
    switch = make_switch()
    for write in (lambda: switch.put_rule(raising), lambda: switch.replace_rules([raising])):
        with pytest.raises(RuleError, match=r"^a\.raise: no exception is registered as 'TimeoutError'"):
            write()
    assert switch.store.read().rules is None
    make_switch([raising], exceptions=[TimeoutError]).put_rule(raising)
