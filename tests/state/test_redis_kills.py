"""Kills and writes that meet each other in a Redis: what is heard, told once, and never lost."""

from __future__ import annotations

import pytest

from faultware.errors import StoreError
from faultware.state import redis as module
from faultware.state.store import KILLED, Deed, noted
from tests.state.test_stores import armed, changed, killed


def test_messages_that_are_none_change_nothing(open_redis):
    store = open_redis()
    store.read()
    store.hear(b"")
    store.hear(b"x 1")
    assert not store.signal[0] & KILLED


def test_a_kill_is_obeyed_before_anything_is_asked(open_redis, monkeypatch):
    store = open_redis()
    store.read()
    monkeypatch.setattr(store, "_fetch", lambda: None)
    store.hear(b"1 1")
    assert store.signal[0] & KILLED


def test_the_keeper_does_not_write_down_a_kill_that_is_just_being_written(open_redis, monkeypatch):
    store, kills = open_redis(), []
    store.read()
    write = store._write

    def interrupted(*words, is_kill=False):
        kills.append(is_kill)
        if kills == [True]:
            store.ask()
        return write(*words, is_kill=is_kill)

    monkeypatch.setattr(store, "_write", interrupted)
    store.kill(killed)
    store.update(armed)
    store.ask()
    assert kills == [True, False]
    assert not store.read().killed


def test_a_kill_that_was_told_to_a_store_full_of_nonsense_is_not_told_again(open_redis):
    store = open_redis()
    store.read()
    store.client().hset(store._keys[0], "state", b"nonsense")
    with pytest.raises(StoreError):
        store.kill(killed)
    assert store.client().hget(store._keys[0], "killed") == b"1"
    assert store._unwritten is None


def test_an_old_message_of_a_kill_does_not_stop_what_was_armed_since(open_redis, monkeypatch):
    store = open_redis()
    store.kill(killed)
    store.update(armed)
    monkeypatch.setattr(store, "_fetch", lambda: None)
    store.hear(b"2 1")
    assert not store.signal[0] & KILLED


def test_a_kill_while_others_write_is_not_lost(open_redis):
    store, other = open_redis(), open_redis()
    store.read()

    def interrupted(before):
        if before.version == 1:
            other.update(changed)
        return killed(before)

    assert store.kill(interrupted).version == 3
    assert (other.read().killed, other.read().actor, other.read().reason) == (True, "somebody", "enough")


def test_who_never_gets_a_turn_gives_up(open_redis, monkeypatch):
    store, other = open_redis(), open_redis()
    store.read(), other.read()
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.0)

    def interrupted(before):
        other.update(changed)
        return before

    with pytest.raises(StoreError, match="others have been writing for too long"):
        store.update(interrupted)


def go_back(store, state):
    """What a server does that ends before it has written down the last second."""
    store.client().delete(store._keys[0])
    store.client().hset(store._keys[0], mapping=state)


def test_a_kill_that_the_server_forgot_is_not_undone_by_who_has_never_heard_of_it(open_redis):
    store, other = open_redis(), open_redis()
    store.read(), other.read()
    state = store.client().hgetall(store._keys[0])
    store.kill(killed)
    go_back(store, state)
    for _ in range(3):
        other.update(changed)
    store.ask()
    assert store.signal[0] & KILLED
    assert (other.read().killed, other.read().actor, other.read().version) == (True, module.STORE, 5)
    store.update(armed)
    other.ask()
    store.ask()
    assert not store.read().killed


def test_who_armed_on_purpose_after_a_kill_was_forgotten_has_armed(open_redis):
    store, other = open_redis(), open_redis()
    store.read(), other.read()
    state = store.client().hgetall(store._keys[0])
    store.kill(killed)
    go_back(store, state)
    other.kill(killed)
    other.update(lambda before: noted(armed(before), Deed(0.0, "me", "", "arm", "", 0)))
    store.ask()
    assert not store.read().killed
